"""What fills a picture is looked for on further levels, by the detectors that ask for it: toy models that find red."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from service.detection.tiled import Searched, TiledDetection
from service.imaging.raster import ColorModel, Raster
from service.policy import ClassPolicy, Effort, Policy, Projection, Shape
from tests.toy import toy_spec, write_toy
from tests.unit.detection.counting import Counting

BLOCK = (40, 8, 168, 92)
"""Of red pixels, in a picture of 200 × 100: x1, y1, x2, y2."""


async def searched(
    root: Path, pool: ThreadPoolExecutor, projection: Projection = Projection.PLANAR
) -> tuple[Searched, dict[str, int]]:
    """What "near", which asks for a close-up, and "far" find, and the tiles that each was asked about."""
    pixels = np.full((100, 200, 3), 90, np.uint8)
    pixels[BLOCK[1] : BLOCK[3], BLOCK[0] : BLOCK[2]] = (255, 0, 0)
    detectors = [
        Counting(write_toy(root, name, spec={"close_ups": count}), root / name / "1" / "model.onnx", pool=pool)
        for name, count in (("near", 1), ("far", 0))
    ]
    classes = tuple(ClassPolicy(name=name, threshold=0.6, margin=0, shape=Shape.BOX) for name in ("near", "far"))
    detection = TiledDetection(detectors, engine="onnxruntime", overlap=24, concurrency=2, cpu=pool)
    policy = Policy(classes=classes, effort=Effort.FAST, projection=projection)
    found = await detection.run(Raster(pixels, ColorModel.RGB, alpha=False), policy)
    return found, {each.spec.name: each.asked for each in detectors}


async def test_who_asks_for_a_close_up_sees_larger_objects(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    result, asked = await searched(tmp_path, pool)
    assert asked["near"] == asked["far"] + 1
    found = result.detections
    largest = {}
    for number, name in enumerate(found.classes):
        boxes = found.xyxy[found.class_id == number]
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        assert ((middles >= np.array(BLOCK[:2]) - 16) & (middles <= np.array(BLOCK[2:]) + 16)).all(), "where it is red"
        largest[name] = float((boxes[:, 2] - boxes[:, 0]).max())
    # A toy's boxes have 12 pixels on each level; the first level that fits a tile of 64 pixels is a quarter as large.
    assert largest == {"near": 96, "far": 48}


async def test_a_panorama_has_its_own_close_views(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    _, asked = await searched(tmp_path, pool, Projection.EQUIRECTANGULAR)
    assert asked["near"] == asked["far"]


def test_a_close_up_is_a_part_that_detectors_can_be_shown() -> None:
    assert toy_spec(close_ups=1, tile_width=128).close_ups == 1
    with pytest.raises(ValidationError, match="multiples of 32"):
        toy_spec(close_ups=2)
