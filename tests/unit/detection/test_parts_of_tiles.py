"""Behind a gate, detectors see parts of tiles; what they find is what they find in whole tiles."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.detection.detector import Detector, TileBoxes, Tiles
from service.detection.gate import AROUND, second_looks
from service.detection.regions import mark, no_cells
from service.detection.tiled import Searched, TiledDetection
from service.errors import DetectorUnavailable
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


def toy(
    root: Path, pool: ThreadPoolExecutor, name: str, slots: int, *, any_size: bool = False, **spec: Any
) -> Counting:
    described = {"classes": ("red",), "tile_width": SIDE, "tile_height": SIDE, "max_detections": slots, **spec}
    entry = write_toy(root, name, side=SIDE, slots=slots, any_size=any_size, spec=described)
    return Counting(entry, root / name / entry.version / "model.onnx", pool=pool)


def boxes_of(searched: Searched) -> set[tuple[float, ...]]:
    """With their scores; some are seen twice, by tiles that overlap and by second looks."""
    found = searched.detections
    return {(*xyxy, score) for xyxy, score in zip(found.xyxy.tolist(), found.score.tolist(), strict=True)}


async def search(detectors: list[Detector], pool: ThreadPoolExecutor, raster: Raster, policy: Policy) -> Searched:
    detection = TiledDetection(detectors, engine="onnxruntime", overlap=48, concurrency=3, cpu=pool)
    return await detection.run(raster, policy)


@pytest.mark.parametrize("projection", [Projection.PLANAR, Projection.EQUIRECTANGULAR])
@pytest.mark.parametrize("squares", [0, 1, 12])
@pytest.mark.parametrize("any_size", [True, False])
async def test_parts_show_what_whole_tiles_show(
    tmp_path: Path, pool: ThreadPoolExecutor, squares: int, projection: Projection, any_size: bool
) -> None:
    """A detector that takes tiles of one size is asked about whole ones, and still about fewer."""
    raster = picture(squares, 2400, 1200)
    policy = POLICY.model_copy(update={"projection": projection})
    alone = toy(tmp_path / "alone", pool, "red", 128)
    everything = await search([alone], pool, raster, policy)
    behind = toy(tmp_path, pool, "red", 128, any_size=any_size)
    gate = toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    searched = await search([behind, gate], pool, raster, policy)
    assert boxes_of(searched) == boxes_of(everything)
    assert bool(squares) == bool(len(searched.detections))
    assert behind.pixels < (0.8 if any_size else 1) * alone.pixels
    assert any_size or behind.pixels == behind.asked * SIDE * SIDE
    assert searched.tiles == everything.tiles >= alone.asked


async def test_a_detector_for_one_size_is_asked_about_whole_tiles(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    alone, behind = Seen(toy(tmp_path / "alone", pool, "red", 64)), Seen(toy(tmp_path, pool, "red", 64))
    gate = toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    for detectors in ([alone], [behind, gate]):
        await search(detectors, pool, picture(12), POLICY)
    assert set() < behind.tiles < alone.tiles


@pytest.mark.parametrize(
    ("width", "height", "coarsest"),
    [
        pytest.param(300, 200, (224, 320), id="in whole cells"),
        pytest.param(20, 470, (480, 64), id="not less than the least side"),
        pytest.param(480, 480, (480, 480), id="all of a tile"),
    ],
)
async def test_what_lies_beside_a_small_picture_is_not_searched(
    tmp_path: Path, pool: ThreadPoolExecutor, width: int, height: int, coarsest: tuple[int, int]
) -> None:
    raster = Raster(np.full((height, width, 3), 90, np.uint8), ColorModel.RGB, alpha=False)
    raster.pixels[-8:, -8:] = (255, 0, 0)
    everything = await search([toy(tmp_path / "whole", pool, "red", 20)], pool, raster, POLICY)
    seen = Seen(toy(tmp_path, pool, "red", 20, any_size=True))
    searched = await search([seen], pool, raster, POLICY)
    assert coarsest in seen.sizes
    assert all(64 <= side <= SIDE and side % 32 == 0 for size in seen.sizes for side in size)
    assert boxes_of(searched) == boxes_of(everything) != set()


async def test_what_is_asked_does_not_depend_on_who_is_answered_first(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Equal pictures get equal answers."""
    asked = []
    behind = toy(tmp_path, pool, "red", 64, any_size=True)
    before = toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    for number, concurrency in enumerate((1, 4, 4)):
        parts, gate = Seen(behind), Late(before, number)
        detection = TiledDetection([parts, gate], engine="onnxruntime", overlap=48, concurrency=concurrency, cpu=pool)
        await detection.run(picture(40, 4000, 2600), POLICY)
        asked.append(parts.tiles)
    assert len(asked[0]) > 8
    assert asked[0] == asked[1] == asked[2]


class Around:
    """A detector around another."""

    def __init__(self, detector: Counting) -> None:
        self.detector, self.spec, self.max_batch = detector, detector.spec, detector.max_batch
        self.any_size = detector.any_size

    async def detect(self, tiles: Tiles) -> TileBoxes:
        return await self.detector.detect(tiles)

    async def check(self) -> None: ...

    async def close(self) -> None: ...


class Gone(Around):
    """Answers `count` times."""

    def __init__(self, detector: Counting, count: int) -> None:
        super().__init__(detector)
        self.left = count

    async def detect(self, tiles: Tiles) -> TileBoxes:
        self.left -= 1
        if self.left < 0:
            raise DetectorUnavailable(cause="gone")
        return await super().detect(tiles)


async def test_a_part_that_is_not_answered_fails_the_search(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    behind = toy(tmp_path, pool, "red", 128, any_size=True)
    gate = toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    await search([behind, gate], pool, picture(12), POLICY)
    assert behind.asked > 3
    for count in range(behind.asked):
        with pytest.raises(DetectorUnavailable):
            await search([Gone(behind, count), gate], pool, picture(12), POLICY)


class Late(Around):
    """Answers after different times."""

    def __init__(self, detector: Counting, seed: int) -> None:
        super().__init__(detector)
        self.random = random.Random(seed)

    async def detect(self, tiles: Tiles) -> TileBoxes:
        answer = await super().detect(tiles)
        await asyncio.sleep(self.random.uniform(0, 0.02))
        return answer


class Seen(Around):
    """Keeps what it is asked about, and of which sizes."""

    def __init__(self, detector: Counting) -> None:
        super().__init__(detector)
        self.tiles: set[bytes] = set()
        self.sizes: list[tuple[int, ...]] = []

    async def detect(self, tiles: Tiles) -> TileBoxes:
        self.tiles |= {tile.tobytes() for tile in tiles}
        self.sizes += [tile.shape[:2] for tile in tiles]
        return await super().detect(tiles)


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
