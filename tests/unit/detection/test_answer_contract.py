"""What passes for an answer, and what does not."""

from typing import Any

import numpy as np
import pytest

from service.detection.contract import check_tiles, validated
from service.errors import DetectorContractBroken
from service.models.catalog import ModelSpec
from tests.toy import toy_spec

SPEC = toy_spec(max_detections=3)
LABELED = toy_spec(max_detections=3, classes=("cat", "dog"))


def good() -> dict[str, Any]:
    boxes = np.zeros((2, 3, 4), np.float32)
    boxes[:, :2, 2:] = 10
    return {"boxes": boxes, "scores": np.array([[0.9, 0.5, 0], [1, 0, 0]], np.float32)}


def changed(name: str, index: Any, value: float) -> dict[str, Any]:
    answer = good()
    answer[name][index] = value
    return answer


def test_a_good_answer_passes() -> None:
    answer = validated(good(), SPEC, 2)
    assert answer.boxes.shape == (2, 3, 4)
    assert answer.scores.tolist() == [[pytest.approx(0.9), 0.5, 0], [1, 0, 0]]
    assert answer.labels is None


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ({}, "no output 'boxes'"),
        (good() | {"scores": None}, "no output 'scores'"),
        (good() | {"scores": good()["scores"].astype(np.float64)}, "scores is float64"),
        (good() | {"boxes": good()["boxes"][:, :2]}, "boxes is float32 (2, 2, 4)"),
        (good() | {"boxes": good()["boxes"][:1]}, "boxes is float32 (1, 3, 4)"),
        (changed("boxes", (0, 0, 0), np.nan), "not finite"),
        (changed("boxes", (1, 2, 0), np.inf), "not finite"),
        (changed("scores", (0, 1), np.nan), "not finite"),
        (changed("scores", (0, 0), 1.5), "not in 0..1"),
        (changed("scores", (1, 2), -0.1), "not in 0..1"),
        (changed("scores", (1, 2), 0.1), "scores rise"),
        (changed("boxes", (0, 1, 0), 11), "corners swapped"),
        (changed("boxes", (0, 1, 1), 11), "corners swapped"),
    ],
)
def test_a_broken_answer_is_refused(answer: dict[str, Any], cause: str) -> None:
    with pytest.raises(DetectorContractBroken) as caught:
        validated(answer, SPEC, 2)
    assert cause in (caught.value.cause or "")
    assert caught.value.detail == DetectorContractBroken.default_detail


def test_a_slot_that_is_not_used_may_hold_any_box() -> None:
    assert validated(changed("boxes", (0, 2, 0), 99), SPEC, 2).boxes[0, 2, 0] == 99


def test_labels_must_name_a_class() -> None:
    labels = np.array([[1, 0, 7], [0, 7, 7]], np.int32)
    answer = validated(good() | {"labels": labels}, LABELED, 2)
    assert answer.labels is not None
    assert answer.labels.tolist() == labels.tolist()
    labels[0, 1] = 2
    with pytest.raises(DetectorContractBroken):
        validated(good() | {"labels": labels}, LABELED, 2)
    with pytest.raises(DetectorContractBroken):
        validated(good(), LABELED, 2)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((0, 64, 64, 3), np.uint8), ((5, 64, 64, 3), np.uint8), ((1, 64, 32, 3), np.uint8), ((1, 64, 64, 3), np.float32)],
)
def test_tiles_that_no_model_takes_are_the_callers_mistake(shape: tuple[int, ...], dtype: Any) -> None:
    spec: ModelSpec = SPEC
    with pytest.raises(ValueError, match="tiles are"):
        check_tiles(np.zeros(shape, dtype), spec, spec.max_batch)
