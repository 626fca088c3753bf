"""Which tiles reach a detector."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from service.detection.tiled import TiledDetection
from service.imaging.raster import ColorModel, Raster
from service.policy import ClassPolicy, Effort, Policy, Shape
from tests.toy import write_toy
from tests.unit.detection.counting import Counting


def picture() -> Raster:
    """Flat, but for a red square in its lower part."""
    pixels = np.full((256, 256, 3), 120, np.uint8)
    pixels[210:218, 30:38] = (255, 0, 0)
    return Raster(pixels, ColorModel.RGB, alpha=False)


async def asked_and_found(
    root: Path, pool: ThreadPoolExecutor, blank: int, effort: Effort = Effort.BALANCED
) -> tuple[int, int, list[list[float]]]:
    """Tiles that were asked about, tiles in all, and what was found."""
    spec = write_toy(root, "red")
    detector = Counting(spec, root / "red" / spec.version / "model.onnx", pool=pool)
    detection = TiledDetection([detector], engine="onnxruntime", overlap=24, concurrency=2, cpu=pool, blank=blank)
    policy = Policy(classes=(ClassPolicy(name="red", threshold=0.6, margin=0, shape=Shape.BOX),), effort=effort)
    searched = await detection.run(picture(), policy)
    return detector.asked, searched.tiles, searched.detections.xyxy.tolist()


async def test_blank_tiles_are_not_asked_about_and_nothing_else_changes(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    all_asked, tiles, everything = await asked_and_found(tmp_path / "all", pool, blank=0)
    some_asked, same_tiles, found = await asked_and_found(tmp_path / "some", pool, blank=12)
    assert all_asked == tiles == same_tiles
    assert 0 < some_asked < all_asked / 2
    assert found == everything != []


async def test_a_thorough_search_asks_about_every_tile(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    asked, tiles, _ = await asked_and_found(tmp_path, pool, blank=12, effort=Effort.THOROUGH)
    assert asked == tiles
