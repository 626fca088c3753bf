"""Behind a gate, detectors see parts of tiles side by side; what they find is what they find in whole tiles."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.detection.detector import Detector, TileBoxes, Tiles
from service.detection.gate import AROUND, second_looks
from service.detection.regions import mark, no_cells
from service.detection.search import GROUP
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


def toy(root: Path, pool: ThreadPoolExecutor, name: str, slots: int, **spec: Any) -> Counting:
    sizes = {"tile_width": SIDE, "tile_height": SIDE, "max_detections": slots}
    entry = write_toy(root, name, side=SIDE, slots=slots, spec={"classes": ("red",), **sizes, **spec})
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
async def test_parts_show_what_whole_tiles_show(
    tmp_path: Path, pool: ThreadPoolExecutor, squares: int, projection: Projection
) -> None:
    raster = picture(squares, 2400, 1200)
    policy = POLICY.model_copy(update={"projection": projection})
    alone = toy(tmp_path / "alone", pool, "red", 128)
    everything = await search([alone], pool, raster, policy)
    behind, gate = toy(tmp_path, pool, "red", 128), toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    searched = await search([behind, gate], pool, raster, policy)
    assert boxes_of(searched) == boxes_of(everything)
    assert bool(squares) == bool(len(searched.detections))
    assert behind.asked < 0.8 * alone.asked
    assert searched.tiles == everything.tiles >= alone.asked


async def test_a_sheet_on_which_there_is_more_than_the_detector_can_say_is_asked_about_in_parts(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    pixels = np.repeat(np.random.default_rng(0).integers(0, 256, (1500, 2000, 1), np.uint8), 3, axis=2)
    pairs = [(x, y) for x in range(200, 2000, 500) for y in range(200, 1500, 500)]
    for x, y in pairs:  # one cell each, and no other level shows them
        pixels[y : y + 4, x : x + 4] = pixels[y : y + 4, x + 40 : x + 44] = (255, 0, 0)
    # There is room for those of one tile and not for those of a sheet.
    behind, gate = toy(tmp_path, pool, "red", 6), toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    searched = await search([behind, gate], pool, Raster(pixels, ColorModel.RGB, alpha=False), POLICY)
    middles = (searched.detections.xyxy[:, :2] + searched.detections.xyxy[:, 2:]) / 2
    expected = {(x + along + 2, y + 2) for x, y in pairs for along in (0, 40)}
    assert set(map(tuple, middles.tolist())) == expected


async def test_what_is_asked_does_not_depend_on_who_is_answered_first(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Equal pictures get equal answers: a detector's scores depend a little on what lies beside a part."""
    asked = []
    behind, before = toy(tmp_path, pool, "red", 64), toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    for number, concurrency in enumerate((1, 4, 4)):
        sheets, gate = Seen(behind), Late(before, number)
        detection = TiledDetection([sheets, gate], engine="onnxruntime", overlap=48, concurrency=concurrency, cpu=pool)
        await detection.run(picture(40, 4000, 2600), POLICY)
        asked.append(sheets.tiles)
    assert len(asked[0]) > 8
    assert asked[0] == asked[1] == asked[2]


async def test_a_group_is_begun_before_the_one_before_it_is_through(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """So that no processor waits for a group's last tile; but not the one after it, which bounds what is kept."""
    before, behind = toy(tmp_path, pool, "gate", 40, gates=("red/1",)), toy(tmp_path, pool, "red", 64)
    gate, raster = Held(before, at=3), picture(0, 4000, 2600)
    detection = TiledDetection([behind, gate], engine="onnxruntime", overlap=48, concurrency=3, cpu=pool, batch=1)
    running = asyncio.create_task(detection.run(raster, POLICY))
    async with asyncio.timeout(60):
        while gate.answered < 2 * GROUP - 1:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert gate.answered == 2 * GROUP - 1
    gate.free.set()
    await running
    assert gate.answered > 2 * GROUP


class Around:
    """A detector around another."""

    def __init__(self, detector: Counting) -> None:
        self.detector, self.spec, self.max_batch = detector, detector.spec, detector.max_batch

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


async def test_a_sheet_that_is_not_answered_fails_the_search(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    behind, gate = toy(tmp_path, pool, "red", 128), toy(tmp_path, pool, "gate", 40, gates=("red/1",))
    await search([behind, gate], pool, picture(12), POLICY)
    assert behind.asked > 3
    for count in range(behind.asked):
        with pytest.raises(DetectorUnavailable):
            await search([Gone(behind, count), gate], pool, picture(12), POLICY)


class Held(Around):
    """Keeps its answer to the question number `at` back until it is `free`; no other waits for that."""

    def __init__(self, detector: Counting, at: int) -> None:
        super().__init__(detector)
        self.asked, self.answered, self.at, self.free = 0, 0, at, asyncio.Event()

    async def detect(self, tiles: Tiles) -> TileBoxes:
        self.asked += 1
        number, answer = self.asked, await super().detect(tiles)
        if number == self.at:
            await self.free.wait()
        self.answered += 1
        return answer


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
    """Keeps what it is asked about."""

    def __init__(self, detector: Counting) -> None:
        super().__init__(detector)
        self.tiles: set[bytes] = set()

    async def detect(self, tiles: Tiles) -> TileBoxes:
        self.tiles |= {tile.tobytes() for tile in tiles}
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


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_edge_of_the_picture_is_looked_at_only_for_what_lies_close_to_it(
    tmp_path: Path, pool: ThreadPoolExecutor, side: str
) -> None:
    """Else it would have to lie at the edge of a sheet for nothing."""
    detector = toy(tmp_path, pool, "red", 20)
    at_edge = View(1, 0 if side == "left" else 1000 - SIDE, 50, SIDE, SIDE, 2000, 1400)
    for view, distance, looked in [
        (at_edge, 5, True),
        (at_edge, 40, False),
        (replace(at_edge, wraps=True), 40, True),
        (replace(at_edge, x=100), 40, True),
    ]:
        x = distance if side == "left" else SIDE - 20 - distance
        xyxy = 2 * np.array([[x + view.x, 300 + view.y, x + 20 + view.x, 320 + view.y]])
        box = replace(found(0, 0, 0.9), xyxy=xyxy.astype(np.float32))
        ((_, ((_, cells),)),) = second_looks([(view, detector, no_cells(SIDE, SIDE))], [box], ("red/1",))
        wanted = no_cells(SIDE, SIDE)
        mark(wanted, [(x, 300, x + 20, 320)], AROUND)
        if not looked:
            wanted[:, 0 if side == "left" else -1] = False
        assert (cells == wanted).all(), (view, distance)


def of_size() -> dict[str, int]:
    return {"tile_width": SIDE, "tile_height": SIDE, "max_detections": 20}
