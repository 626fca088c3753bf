"""Detectors' files for processors take tiles of any size, and find in a part of a tile what they find in all of it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from service.detection.embedded import OnnxDetector
from service.detection.processor import multiplies_bytes
from service.models.any_size import in_single_precision, take_any_size
from service.models.catalog import Catalog, ForProcessors, ModelSpec
from tests.pictures import street

NAMES = ("face", "plate")
KINDS = [
    pytest.param(ForProcessors.FP32, id="in single precision"),
    pytest.param(
        ForProcessors.INT8,
        id="in 8 bits",
        marks=pytest.mark.skipif(not multiplies_bytes(), reason="this processor has no VNNI: 8 bits saturate"),
    ),
]


def file_of(catalog: Catalog, name: str) -> tuple[ModelSpec, str]:
    spec = next(each for each in catalog.specs if each.name == name)
    return spec, str(catalog.file(spec))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
async def test_a_part_of_a_tile_shows_what_all_of_it_shows(
    catalog: Catalog, pool: ThreadPoolExecutor, name: str, kind: ForProcessors
) -> None:
    meant = catalog.for_processors(kind)
    spec, _ = file_of(meant, name)
    detector = OnnxDetector(spec, meant.file(spec), pool=pool)
    assert detector.any_size
    whole = await detector.detect(street()[None])
    box, score = whole.boxes[0, 0], float(whole.scores[0, 0])
    assert score > spec.threshold
    x1, y1 = np.maximum(box[:2] - 96, 0).astype(int) // 32 * 32
    x2, y2 = np.minimum(-(-(box[2:] + 96).astype(int) // 32) * 32, 640)
    assert (x2 - x1) * (y2 - y1) < 0.6 * 640 * 640
    part = await detector.detect(street()[None, y1:y2, x1:x2].copy())
    moved = part.moved(x1, y1)
    assert np.abs(moved.boxes[0, 0] - box).max() < 0.1 * (box[2:] - box[:2]).max()
    assert float(moved.scores[0, 0]) == pytest.approx(score, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sides", [(640, 600), (32, 64), (672, 640), (64, 640, 640)])
async def test_no_other_sides_are_taken(
    catalog: Catalog, pool: ThreadPoolExecutor, name: str, sides: tuple[int, ...]
) -> None:
    meant = catalog.for_processors(ForProcessors.FP32)
    spec, _ = file_of(meant, name)
    with pytest.raises(ValueError, match="tiles are"):
        await OnnxDetector(spec, meant.file(spec), pool=pool).detect(np.zeros((1, *sides, 3), np.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_tile_is_answered_as_by_the_file_that_it_was_made_of(catalog: Catalog, name: str) -> None:
    answers = []
    for each in (catalog, catalog.for_processors(ForProcessors.FP32)):
        session = ort.InferenceSession(file_of(each, name)[1], providers=["CPUExecutionProvider"])
        boxes, scores = session.run(["boxes", "scores"], {"tiles": street()[None]})
        answers.append((boxes[0, 0], scores[0, :8]))
    (box, scores), (again, answered) = answers
    np.testing.assert_allclose(again, box, atol=0.01)
    np.testing.assert_allclose(answered, scores, atol=0.01)


def test_a_file_of_another_kind_stays_as_it_is(catalog: Catalog) -> None:
    assert catalog.gate is not None
    content = catalog.file(catalog.gate).read_bytes()
    model = onnx.load_from_string(content)
    assert not take_any_size(model)
    assert model == onnx.load_from_string(content)
    assert in_single_precision(content) is None
    assert catalog.gate.fp32 is None
