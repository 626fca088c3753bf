"""Tiles leave as soon as their rows are decoded, and nothing is found in a picture whose decoding failed."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service.detection.detector import TileBoxes, Tiles
from service.detection.embedded import OnnxDetector
from service.detection.tiled import TiledDetection
from service.errors import CorruptImage
from service.imaging import views
from service.imaging.arrival import Arrival
from service.imaging.raster import ColorModel, Raster
from service.policy import ClassPolicy, Effort, Policy, Shape
from tests.toy import write_toy

SIDE = 64
POLICY = Policy(classes=(ClassPolicy(name="red", threshold=0.6, margin=0, shape=Shape.BOX),), effort=Effort.BALANCED)


class Heard(OnnxDetector):
    """A real detector that says when it has answered."""

    answered: threading.Event

    async def detect(self, tiles: Tiles) -> TileBoxes:
        answer = await super().detect(tiles)
        self.answered.set()
        return answer


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def red(root: Path, pool: ThreadPoolExecutor) -> Heard:
    spec = write_toy(root, "red")
    detector = Heard(spec, root / "red" / spec.version / "model.onnx", pool=pool)
    detector.answered = threading.Event()
    return detector


def dotted() -> Raster:
    pixels = np.full((400, 300, 3), 90, np.uint8)
    for x, y in ((0, 0), (200, 100), (292, 392), (150, 250)):
        pixels[y : y + 8, x : x + 8] = (255, 0, 0)
    return Raster(pixels, ColorModel.RGB, alpha=False)


def search(detector: Heard, pool: ThreadPoolExecutor) -> TiledDetection:
    return TiledDetection([detector], engine="onnxruntime", overlap=24, concurrency=2, cpu=pool)


async def test_the_first_tiles_are_answered_before_the_last_rows_are_decoded(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "DOUBLED_PIXELS", 0)  # as for any larger picture: full resolution comes first
    whole = dotted()
    detector = red(tmp_path, pool)
    alone = await search(detector, pool).run(whole, POLICY)
    detector.answered.clear()
    arriving = Raster(np.zeros_like(whole.pixels), ColorModel.RGB, alpha=False)

    def strips() -> Iterator[int]:
        arriving.pixels[:SIDE] = whole.pixels[:SIDE]
        yield SIDE
        assert detector.answered.wait(30), "no tile was looked at before the whole picture was there"
        arriving.pixels[SIDE:] = whole.pixels[SIDE:]

    arrival = Arrival(arriving, strips())
    decoding = asyncio.get_running_loop().run_in_executor(pool, arrival.decode)
    found = await search(detector, pool).run(arriving, POLICY, arrival.reached)
    await decoding
    assert len(found.detections) > 0
    assert np.array_equal(found.detections.xyxy, alone.detections.xyxy)
    assert np.array_equal(found.detections.score, alone.detections.score)
    assert found.tiles == alone.tiles


async def test_a_picture_whose_decoding_fails_is_not_searched_to_the_end(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    def strips() -> Iterator[int]:
        yield SIDE
        raise CorruptImage(cause="the data ends early")

    arrival = Arrival(dotted(), strips())
    decoding = asyncio.get_running_loop().run_in_executor(pool, arrival.decode)
    with pytest.raises(CorruptImage):
        await search(red(tmp_path, pool), pool).run(arrival.raster, POLICY, arrival.reached)
    with pytest.raises(CorruptImage):
        await decoding
