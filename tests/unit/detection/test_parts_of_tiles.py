"""Behind a gate, detectors see parts of tiles side by side; what they find is what they find in whole tiles."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.detection.gate import AROUND, second_looks
from service.detection.regions import mark, no_cells
from service.detection.tiled import Searched, TiledDetection
from service.imaging.detections import Detections
from service.imaging.raster import ColorModel, Raster
from service.imaging.views import View
from service.policy import ClassPolicy, Policy, Projection, Shape
from tests.toy import toy_spec, write_toy
from tests.unit.detection.counting import Counting

SIDE = 480
POLICY = Policy(classes=(ClassPolicy(name="red", threshold=0.6, margin=0, shape=Shape.BOX),))


def picture(squares: int, width: int = 2000, height: int = 1400) -> Raster:
    """Noise with small red squares."""
    rng = np.random.default_rng(squares)
    pixels = np.repeat(rng.integers(0, 256, (height, width, 1), np.uint8), 3, axis=2)
    ys = rng.integers(height // 4, 3 * height // 4, squares)  # where a panorama is not stretched
    for x, y in zip(rng.integers(0, width - 8, squares), ys, strict=True):
        pixels[y : y + 8, x : x + 8] = (255, 0, 0)
    return Raster(pixels, ColorModel.RGB, alpha=False)


def toy(root: Path, pool: ThreadPoolExecutor, name: str, slots: int, **spec: Any) -> Counting:
    sizes = {"tile_width": SIDE, "tile_height": SIDE, "max_detections": slots}
    entry = write_toy(root, name, side=SIDE, slots=slots, spec={"classes": ("red",), **sizes, **spec})
    return Counting(entry, root / name / entry.version / "model.onnx", pool=pool)


async def search(detectors: list[Counting], pool: ThreadPoolExecutor, raster: Raster, policy: Policy) -> Searched:
    detection = TiledDetection(detectors, engine="onnxruntime", overlap=48, concurrency=3, cpu=pool)
    return await detection.run(raster, policy)


@pytest.mark.parametrize("projection", [Projection.PLANAR, Projection.EQUIRECTANGULAR])
@pytest.mark.parametrize("squares", [0, 1, 12])
async def test_parts_show_what_whole_tiles_show(
    tmp_path: Path, pool: ThreadPoolExecutor, squares: int, projection: Projection
) -> None:
    raster = picture(squares, 2400, 1200)
    policy = POLICY.model_copy(update={"projection": projection})
    alone = toy(tmp_path / "alone", pool, "red", 32)
    everything = await search([alone], pool, raster, policy)
    behind, gate = toy(tmp_path, pool, "red", 32), toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    searched = await search([behind, gate], pool, raster, policy)
    assert searched.detections.xyxy.tolist() == everything.detections.xyxy.tolist()
    assert searched.detections.score.tolist() == everything.detections.score.tolist()
    assert bool(squares) == bool(len(searched.detections))
    assert behind.asked < 0.8 * alone.asked
    assert searched.tiles == everything.tiles == alone.asked


async def test_a_sheet_on_which_there_is_more_than_the_detector_can_say_is_asked_about_in_parts(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    raster = picture(24)
    everything = await search([toy(tmp_path / "alone", pool, "red", 64)], pool, raster, POLICY)
    # A square is up to nine cells: there is room for those of one tile and not for those of a sheet.
    behind, gate = toy(tmp_path, pool, "red", 20), toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    searched = await search([behind, gate], pool, raster, POLICY)
    assert len(everything.detections) > 60
    assert searched.detections.xyxy.tolist() == everything.detections.xyxy.tolist()


VIEW = View(1, 100, 50, SIDE, SIDE, 2000, 1400)


def found(x: float, y: float, score: float, side: float = 20) -> Detections:
    """A box whose corner is at `x`, `y` of the view's tile."""
    corner = np.array([x + 100, y + 50]) * 2
    xyxy = np.concatenate([corner, corner + 2 * side])[None].astype(np.float32)
    none = np.zeros(1, np.int32)
    return Detections(xyxy, np.array([score], np.float32), none, none, ("red",), ("red/1",), None, None)


@pytest.mark.parametrize(
    ("box", "again"),
    [
        pytest.param(found(300, 200, 0.9), True, id="elsewhere in the tile"),
        pytest.param(found(100, 100, 0.9), False, id="within what was searched"),
        pytest.param(found(150, 100, 0.9), True, id="at the edge of what was searched"),
        pytest.param(found(100, 100, 0.9, side=150), True, id="larger than what was searched"),
        pytest.param(found(300, 200, 0.4), False, id="not sure enough"),
        pytest.param(found(-200, 200, 0.9), False, id="beside the tile"),
    ],
)
def test_what_is_looked_at_again(tmp_path: Path, pool: ThreadPoolExecutor, box: Detections, again: bool) -> None:
    detector = toy(tmp_path, pool, "red", 20)
    assert detector.spec == toy_spec("red", classes=("red",), sha256=detector.spec.sha256, **of_size())
    searched = no_cells(SIDE, SIDE)
    mark(searched, [(0, 0, 192, 192)], 0)
    looks = second_looks([(VIEW, detector, searched)], [box], ("red/1",))
    assert bool(looks) == again
    for view, ((asked, cells),) in looks:
        assert (view, asked) == (VIEW, detector)
        wanted = no_cells(SIDE, SIDE)
        mark(wanted, box.xyxy / 2 - np.array([100, 50, 100, 50]), AROUND)
        assert (cells == wanted).all()


def of_size() -> dict[str, int]:
    return {"tile_width": SIDE, "tile_height": SIDE, "max_detections": 20}
