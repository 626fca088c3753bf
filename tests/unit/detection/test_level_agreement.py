"""Scores weighed by what other levels show, against cases worked out by hand."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service.detection.agreement import floor, weigh
from service.detection.embedded import OnnxDetector
from service.detection.tiled import TiledDetection
from service.imaging.detections import Detections
from service.imaging.raster import ColorModel, Raster
from service.policy import Agreement, ClassPolicy, Policy, Shape
from tests.toy import write_toy

FACE = ClassPolicy(
    name="face", threshold=0.2, margin=0, shape=Shape.ELLIPSE, agreement=Agreement(confirmed=1.5, alone=0.5, turned=0.6)
)
PLATE = ClassPolicy(name="plate", threshold=0.2, margin=0, shape=Shape.BOX)
POLICY = Policy(classes=(FACE, PLATE))
LEVELS = {0: frozenset({2.0, 1.0, 0.5})}

Box = tuple[float, float, float, float]
BIG: Box = (100, 100, 140, 140)


def weighed(
    *seen: tuple[Box, float, float], name: str = "face", quarters: tuple[int, ...] | None = None
) -> list[tuple[float, float]]:
    """Score and width of what is left of `seen` (box, score, scale), on levels that are turned by `quarters`."""
    n = len(seen)
    found = Detections(
        np.array([box for box, _, _ in seen], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in seen], np.float32),
        np.full(n, POLICY.class_names.index(name), np.int32),
        np.zeros(n, np.int32),
        POLICY.class_names,
        ("m/1",),
    )
    scale = np.array([scale for _, _, scale in seen], np.float32)
    left = weigh(found, scale, np.array(quarters or (0,) * n, np.int32), LEVELS, POLICY)
    widths = left.xyxy[:, 2] - left.xyxy[:, 0]
    return [(pytest.approx(float(s)), float(w)) for s, w in zip(left.score, widths, strict=True)]


def test_what_two_levels_see_counts_more() -> None:
    assert weighed((BIG, 0.3, 1.0), (BIG, 0.28, 0.5)) == [(0.45, 40), (0.42, 40)]
    assert weighed((BIG, 0.14, 1.0), (BIG, 0.14, 0.5)) == [(0.21, 40), (0.21, 40)], "each alone is under the threshold"


def test_what_one_level_sees_alone_counts_less() -> None:
    assert weighed((BIG, 0.5, 1.0)) == [(0.25, 40)]
    assert weighed((BIG, 0.39, 1.0)) == []


def test_the_other_level_must_be_nearly_as_sure() -> None:
    # 0.26 is less than nine tenths of 0.3: it confirms nothing, and is itself confirmed.
    assert weighed((BIG, 0.3, 1.0), (BIG, 0.26, 0.5)) == [(0.39, 40)]


def test_the_same_level_confirms_nothing() -> None:
    assert weighed((BIG, 0.3, 1.0), (BIG, 0.3, 1.0)) == []


def test_boxes_must_overlap_enough() -> None:
    # 40 × 40 each, moved by 20: 800 of 2400 are common, a third; by 24: 640 of 2560, a quarter.
    assert len(weighed((BIG, 0.3, 1.0), ((120, 100, 160, 140), 0.3, 0.5))) == 2
    assert weighed((BIG, 0.3, 1.0), ((124, 100, 164, 140), 0.3, 0.5)) == []


def test_a_level_that_cannot_show_it_has_no_say() -> None:
    # 3.9 pixels high: 7.8 on the doubled level, the finest that was searched.
    assert weighed(((0, 0, 4, 3.9), 0.21, 2.0)) == [(0.21, 4)]
    assert weighed(((0, 0, 4, 3.9), 0.21, 1.0)) == [(0.21, 4)]
    assert weighed(((0, 0, 4, 4.1), 0.21, 1.0)) == [], "8.2 pixels on the doubled level"
    # 1000 pixels high: 500 on the half level, too large for a tile.
    assert weighed(((0, 0, 800, 1000), 0.21, 1.0)) == [(0.21, 800)]


def test_turned_levels_agree_among_themselves_only() -> None:
    upright, turned = (BIG, 0.3, 1.0), (BIG, 0.3, 0.5)  # alone, 0.15 or, turned, 0.18
    assert weighed(upright, turned, quarters=(1, 1)) == [(0.45, 40), (0.45, 40)]
    assert weighed(upright, turned, quarters=(0, 1)) == [], "neither confirms the other"
    assert weighed(upright, turned, quarters=(1, 3)) == []


def test_what_one_turned_level_shows_has_to_be_seen_on_another() -> None:
    # Too small for any other level, which the upright one is forgiven.
    small = ((0, 0, 4, 3.9), 0.3, 1.0)
    assert weighed(small, quarters=(0,)) == [(0.3, 4)]
    assert weighed(small, quarters=(2,)) == []
    assert weighed((small[0], 0.4, 1.0), quarters=(2,)) == [(0.24, 4)]


def test_a_class_without_a_rule_keeps_its_scores() -> None:
    assert weighed((BIG, 0.3, 1.0), (BIG, 0.19, 0.5), name="plate") == [(0.3, 40)]
    assert floor(PLATE) == np.float32(0.2)
    assert floor(FACE) == pytest.approx(0.2 / 1.5 * 0.9)


def test_scores_stay_within_one() -> None:
    assert weighed((BIG, 0.9, 1.0), (BIG, 0.9, 0.5)) == [(1, 40), (1, 40)]


def test_many_boxes_are_compared_in_parts() -> None:
    seen = [((i * 50.0, 0.0, i * 50 + 40.0, 40.0), 0.3, scale) for i in range(1500) for scale in (1.0, 0.5)]
    assert len(weighed(*seen)) == 3000


async def test_the_search_knows_the_level_of_each_box(tmp_path: Path) -> None:
    spec = write_toy(tmp_path, "face")
    pixels = np.full((330, 500, 3), 90, np.uint8)
    pixels[160:168, 244:252] = (255, 0, 0)
    raster = Raster(pixels, ColorModel.RGB, alpha=False)

    def asking(rule: Agreement | None) -> Policy:
        return Policy(classes=(FACE.model_copy(update={"agreement": rule, "threshold": 0.6}),))

    with ThreadPoolExecutor(2) as pool:
        detector = OnnxDetector(spec, tmp_path / "face" / "1" / "model.onnx", pool=pool)
        detection = TiledDetection([detector], engine="onnxruntime", overlap=24, concurrency=1, cpu=pool)
        plain = (await detection.run(raster, asking(None))).detections
        strict = (await detection.run(raster, asking(Agreement(confirmed=1, alone=0.01)))).detections
        kind = (await detection.run(raster, asking(Agreement(confirmed=4, alone=1)))).detections

    # The toy draws boxes of twelve tile pixels whatever the level, so no level confirms another: those of the doubled
    # level are six pixels in the picture, too small for any other, those of the full one would show on the doubled.
    def sides(found: Detections) -> set[float]:
        return set((found.xyxy[:, 2] - found.xyxy[:, 0]).tolist())

    assert sides(plain) >= {6, 12}
    assert sides(strict) == {6}
    np.testing.assert_array_equal(kind.xyxy, plain.xyxy)
