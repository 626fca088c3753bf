"""Which detectors see the picture turned, and where what they find there lies: toy models that find red."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from service.detection.tiled import Searched, TiledDetection
from service.imaging.detections import Detections
from service.imaging.raster import ColorModel, Raster
from service.policy import Agreement, ClassPolicy, Effort, Policy, Projection, Shape
from tests.toy import write_toy
from tests.unit.detection.counting import Counting

DOT = (150, 40)
"""Corner of a red square of 8 × 8 pixels in a picture of 200 × 100."""


def dotted() -> Raster:
    pixels = np.full((100, 200, 3), 90, np.uint8)
    pixels[DOT[1] : DOT[1] + 8, DOT[0] : DOT[0] + 8] = (255, 0, 0)
    return Raster(pixels, ColorModel.RGB, alpha=False)


async def searched(
    root: Path, pool: ThreadPoolExecutor, effort: Effort, projection: Projection = Projection.PLANAR, **turned: float
) -> tuple[Searched, dict[str, int]]:
    """What "red" and "ruby" find, and the tiles that each was asked about; `turned` is the weight of each."""
    detectors = [
        Counting(write_toy(root, name), root / name / "1" / "model.onnx", pool=pool) for name in ("red", "ruby")
    ]
    classes = tuple(
        ClassPolicy(
            name=each.spec.name,
            threshold=0.6,
            margin=0,
            shape=Shape.BOX,
            agreement=Agreement(confirmed=1, alone=1, turned=turned.get(each.spec.name)),
        )
        for each in detectors
    )
    detection = TiledDetection(detectors, engine="onnxruntime", overlap=24, concurrency=2, cpu=pool)
    found = await detection.run(dotted(), Policy(classes=classes, effort=effort, projection=projection))
    return found, {each.spec.name: each.asked for each in detectors}


def of(found: Detections, name: str) -> np.ndarray:
    return found.xyxy[found.class_id == found.classes.index(name)]


async def test_only_a_thorough_search_turns_and_only_for_classes_that_ask_for_it(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    _, quick = await searched(tmp_path / "a", pool, Effort.BALANCED, red=1.0)
    _, plain = await searched(tmp_path / "b", pool, Effort.THOROUGH)
    both, asked = await searched(tmp_path / "c", pool, Effort.THOROUGH, red=1.0)
    assert quick == plain == {"red": plain["ruby"], "ruby": plain["ruby"]}
    assert asked["ruby"] == plain["ruby"]
    # Full resolution and two halved levels, each turned three times, in tiles of 64 pixels: 5 · 2, 2 and 1.
    assert asked["red"] - plain["red"] == 3 * (10 + 2 + 1)
    assert both.tiles == asked["red"]
    assert len(of(both.detections, "red")) > len(of(both.detections, "ruby")) > 0


async def test_what_turned_tiles_show_lies_where_it_is(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    found, _ = await searched(tmp_path, pool, Effort.THOROUGH, red=1.0, ruby=1.0)
    boxes = of(found.detections, "red")
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    # The toy answers the middles of cells of four tile pixels, of which one on the second halved level is sixteen.
    assert np.abs(middle - np.array(DOT) - 4).max() <= 12
    np.testing.assert_array_equal(of(found.detections, "ruby"), boxes)


async def test_what_only_one_turned_level_shows_counts_by_its_weight(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    found, _ = await searched(tmp_path, pool, Effort.THOROUGH, red=0.5, ruby=1.0)
    upright, _ = await searched(tmp_path / "upright", pool, Effort.THOROUGH)
    np.testing.assert_array_equal(of(found.detections, "red"), of(upright.detections, "red"))
    assert len(of(found.detections, "ruby")) > len(of(found.detections, "red"))


async def test_a_panorama_is_not_turned(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    _, plain = await searched(tmp_path / "a", pool, Effort.THOROUGH, Projection.EQUIRECTANGULAR)
    _, asked = await searched(tmp_path / "b", pool, Effort.THOROUGH, Projection.EQUIRECTANGULAR, red=1.0)
    assert asked == plain
