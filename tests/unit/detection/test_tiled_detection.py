"""Whole pictures through tiles, batches and several models: small real ONNX models that find red."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.detection.detector import TileBoxes, Tiles
from service.detection.embedded import OnnxDetector
from service.detection.tiled import TiledDetection
from service.errors import DetectionFailed, DetectorTimeout, DetectorUnavailable
from service.imaging.raster import ColorModel, Raster
from service.models.catalog import ModelSpec
from service.policy import ClassPolicy, Effort, Policy, Shape
from tests.toy import NOT_FINITE, write_toy

WIDTH, HEIGHT = 500, 330
DOTS = [(0, 0), (492, 0), (0, 322), (492, 322), (244, 160), (56, 60), (300, 8)]
"""Corners of red squares of 8 × 8 pixels."""


def dotted(orientation: int = 1) -> Raster:
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for x, y in DOTS:
        pixels[y : y + 8, x : x + 8] = (255, 0, 0)
    stored = {1: pixels, 3: pixels[::-1, ::-1], 6: pixels.transpose(1, 0, 2)[::-1]}[orientation]
    return Raster(np.ascontiguousarray(stored), ColorModel.RGB, alpha=False, orientation=orientation)


def asking(*names: str, threshold: float = 0.6, effort: Effort = Effort.BALANCED) -> Policy:
    return Policy(
        classes=tuple(ClassPolicy(name=n, threshold=threshold, margin=0, shape=Shape.BOX) for n in names), effort=effort
    )


def detector(root: Path, pool: ThreadPoolExecutor, name: str, **graph: Any) -> OnnxDetector:
    spec = write_toy(root, name, **graph)
    return OnnxDetector(spec, root / name / spec.version / "model.onnx", pool=pool)


def tiled(*detectors: Any, pool: ThreadPoolExecutor, concurrency: int = 2) -> TiledDetection:
    return TiledDetection(detectors, engine="onnxruntime", overlap=24, concurrency=concurrency, cpu=pool)


@pytest.mark.parametrize("orientation", [1, 3, 6])
async def test_what_is_anywhere_in_the_picture_is_found_where_it_is(
    tmp_path: Path, pool: ThreadPoolExecutor, orientation: int
) -> None:
    detection = tiled(detector(tmp_path, pool, "red"), pool=pool)
    found = (await detection.run(dotted(orientation), asking("red"))).detections
    centers = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
    for x, y in DOTS:
        assert np.hypot(*(centers - (x + 4, y + 4)).T).min() < 6, f"the dot at {x}, {y} was not found"
    for center in centers:
        assert min(np.hypot(center[0] - x - 4, center[1] - y - 4) for x, y in DOTS) < 40, f"nothing is at {center}"
    assert found.xyxy.min() >= 0
    assert found.xyxy[:, 2].max() <= WIDTH
    assert found.xyxy[:, 3].max() <= HEIGHT


async def test_models_of_different_tile_sizes_look_at_the_same_picture(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    small = detector(tmp_path, pool, "small")
    large = detector(tmp_path, pool, "large", spec={"tile_width": 128, "tile_height": 128}, side=128)
    detection = tiled(small, large, pool=pool)
    searched = await detection.run(dotted(), asking("small", "large"))
    assert detection.classes == searched.detections.classes == ("large", "small")
    assert [spec.label for spec in searched.models] == list(searched.detections.models) == ["large/1", "small/1"]
    counts = searched.detections.counts()
    assert counts["small"] >= len(DOTS)
    assert counts["large"] >= len(DOTS)
    alone = [await detection.run(dotted(), asking(name)) for name in ("small", "large")]
    assert searched.tiles == sum(each.tiles for each in alone)
    assert searched.engine == "onnxruntime"


async def test_only_what_the_policy_names_is_asked_and_answered(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    broken = detector(tmp_path, pool, "other", **NOT_FINITE)
    detection = tiled(detector(tmp_path, pool, "red"), broken, pool=pool)
    searched = await detection.run(dotted(), asking("red"))
    assert searched.detections.classes == ("red",)
    assert [spec.name for spec in searched.models] == ["red"]


async def test_a_class_that_no_model_knows_is_an_error(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    detection = tiled(detector(tmp_path, pool, "red"), pool=pool)
    with pytest.raises(DetectionFailed) as caught:
        await detection.run(dotted(), asking("red", "blue"))
    assert "blue" in (caught.value.cause or "")


async def test_the_threshold_itself_is_over_the_threshold(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    detection = tiled(detector(tmp_path, pool, "red"), pool=pool)
    pixels = np.zeros((64, 64, 3), np.uint8)
    # Eleven of sixteen pixels full and one at a fifth: 0.7, which as float32 lies below 0.7 as float64.
    pixels[32:36, 32:36, 0] = np.array([255] * 11 + [51] + [0] * 4).reshape(4, 4)
    raster = Raster(pixels, ColorModel.RGB, alpha=False)
    at = (await detection.run(raster, asking("red", threshold=0.7, effort=Effort.FAST))).detections
    above = (await detection.run(raster, asking("red", threshold=0.7001, effort=Effort.FAST))).detections
    assert at.score.tolist() == [np.float32(0.7)]
    assert float(at.score[0]) < 0.7
    assert len(above) == 0


async def test_empty_slots_are_nothing_at_any_threshold(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    detection = tiled(detector(tmp_path, pool, "red"), pool=pool)
    blank = Raster(np.zeros((100, 100, 3), np.uint8), ColorModel.RGB, alpha=False)
    assert len((await detection.run(blank, asking("red", threshold=1e-60))).detections) == 0


class Late:
    """A real detector whose answers come in the opposite order of the questions."""

    def __init__(self, inner: OnnxDetector, together: int, total: int) -> None:
        self.inner, self.together, self.left = inner, together, total
        self.answers: list[asyncio.Event] = []
        self.most = 0
        self.under_way = 0

    @property
    def spec(self) -> ModelSpec:
        return self.inner.spec

    @property
    def max_batch(self) -> int:
        return 1

    @property
    def any_size(self) -> bool:
        return self.inner.any_size

    async def detect(self, tiles: Tiles) -> TileBoxes:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        answer = await self.inner.detect(tiles)
        mine = asyncio.Event()
        self.answers.append(mine)
        self.left -= 1
        if len(self.answers) == self.together or not self.left:
            for each in reversed(self.answers):
                each.set()
                await asyncio.sleep(0)
            self.answers.clear()
        await asyncio.wait_for(mine.wait(), 30)
        self.under_way -= 1
        return answer

    async def check(self) -> None: ...
    async def close(self) -> None: ...


async def test_the_order_of_answers_does_not_matter_and_no_more_than_allowed_are_under_way(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    inner = detector(tmp_path, pool, "red")
    straight = await tiled(inner, pool=pool, concurrency=1).run(dotted(), asking("red"))
    late = Late(inner, together=2, total=straight.tiles)
    turned = await tiled(late, pool=pool, concurrency=2).run(dotted(), asking("red"))
    assert late.most == 2
    assert np.array_equal(straight.detections.xyxy, turned.detections.xyxy)
    assert np.array_equal(straight.detections.score, turned.detections.score)


class Failing(Late):
    """A real detector that fails at its third batch."""

    def __init__(self, inner: OnnxDetector) -> None:
        super().__init__(inner, 0, 0)
        self.asked = self.cancelled = 0

    async def detect(self, tiles: Tiles) -> TileBoxes:
        self.asked += 1
        if self.asked == 3:
            raise DetectorTimeout(cause="the third batch")
        if self.asked > 1:
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 30)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await self.inner.detect(tiles)


async def test_one_failed_batch_is_the_end_of_the_whole_search(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    failing = Failing(detector(tmp_path, pool, "red"))
    healthy = detector(tmp_path, pool, "other")
    with pytest.raises(DetectorTimeout) as caught:
        await tiled(failing, healthy, pool=pool, concurrency=2).run(dotted(), asking("red", "other"))
    assert caught.value.cause == "the third batch"
    assert (failing.asked, failing.cancelled) == (3, 1)


async def test_check_names_what_is_wrong_with_each(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    with ThreadPoolExecutor(1) as ended:
        gone = detector(tmp_path, ended, "gone")
    detection = tiled(detector(tmp_path, pool, "red"), gone, pool=pool)
    found = await detection.check()
    assert found["red"] is None
    assert isinstance(found["gone"], DetectorUnavailable)
