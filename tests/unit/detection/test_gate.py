"""Which tiles the gate keeps from which detectors."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.detection.detector import Detector, TileBoxes, Tiles
from service.detection.embedded import OnnxDetector
from service.detection.tiled import Searched, TiledDetection
from service.errors import DetectorUnavailable
from service.imaging.raster import ColorModel, Raster
from service.models.catalog import ModelSpec
from service.policy import ClassPolicy, Effort, Policy, Projection, Shape
from tests.toy import toy_spec, write_toy
from tests.unit.detection.counting import Counting

COARSEST = 1
"""Tiles of the coarsest level, on which the gate has no say."""


def picture() -> Raster:
    """Noise, with a red square in its lower part, close to the edge: tiles of 64 pixels with it are searched whole."""
    pixels = np.repeat(np.random.default_rng(0).integers(0, 256, (256, 256, 1), np.uint8), 3, axis=2)
    pixels[230:238, 30:38] = (255, 0, 0)
    return Raster(pixels, ColorModel.RGB, alpha=False)


def red(root: Path, pool: ThreadPoolExecutor, name: str = "red", **spec: Any) -> Counting:
    entry = write_toy(root, name, spec={"classes": ("red",), **spec})
    return Counting(entry, root / name / entry.version / "model.onnx", pool=pool)


def policy(threshold: float = 0.6, effort: Effort = Effort.BALANCED, *names: str) -> Policy:
    classes = [ClassPolicy(name=name, threshold=threshold, margin=0, shape=Shape.BOX) for name in names or ("red",)]
    return Policy(classes=tuple(classes), effort=effort)


async def search(detectors: list[Detector], pool: ThreadPoolExecutor, wanted: Policy, **more: Any) -> Searched:
    detection = TiledDetection(detectors, engine="onnxruntime", overlap=24, concurrency=2, cpu=pool)
    return await detection.run(picture(), wanted, **more)


async def test_tiles_in_which_the_gate_sees_nothing_are_not_asked_about_and_nothing_else_changes(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    alone = red(tmp_path / "alone", pool)
    everything = await search([alone], pool, policy())
    behind, gate = red(tmp_path, pool), red(tmp_path, pool, "gate", gates=("red/1",))
    searched = await search([behind, gate], pool, policy())
    assert gate.asked + COARSEST == alone.asked == searched.tiles == everything.tiles
    assert 0 < behind.asked < alone.asked / 2
    # A place that was searched in part is searched anew where something is found at the part's edge: twice the same.
    assert (
        np.unique(searched.detections.xyxy, axis=0).tolist() == np.unique(everything.detections.xyxy, axis=0).tolist()
    )
    assert len(everything.detections)
    assert [each.label for each in searched.models] == ["red/1", "gate/1"]
    assert [each.label for each in everything.models] == ["red/1"]


@pytest.mark.parametrize(
    ("wanted", "gates", "tile"),
    [
        pytest.param(policy(effort=Effort.THOROUGH), ("red/1",), 64, id="a thorough search"),
        pytest.param(policy(threshold=0.4), ("red/1",), 64, id="a lower threshold than the model's"),
        pytest.param(policy(), ("red/2",), 64, id="a detector that the gate does not know"),
        pytest.param(policy(), ("red/1",), 96, id="tiles of another size"),
    ],
)
async def test_the_gate_is_not_asked_about(
    tmp_path: Path, pool: ThreadPoolExecutor, wanted: Policy, gates: tuple[str, ...], tile: int
) -> None:
    behind = red(tmp_path, pool)
    gate = red(tmp_path, pool, "gate", gates=gates, tile_width=64)
    if tile != 64:
        entry = write_toy(tmp_path / "large", "gate", side=96, spec={"classes": ("red",), "gates": gates, **size(96)})
        gate = Counting(entry, tmp_path / "large" / "gate" / "1" / "model.onnx", pool=pool)
    searched = await search([behind, gate], pool, wanted)
    assert gate.asked == 0
    assert behind.asked == searched.tiles
    assert [each.label for each in searched.models] == ["red/1"]


def size(side: int) -> dict[str, int]:
    return {"tile_width": side, "tile_height": side}


async def test_a_search_can_leave_out_the_tiles_of_another_policy(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """As an evaluation needs it, which looks at lower scores in the tiles that the service would search."""
    behind, gate = red(tmp_path, pool), red(tmp_path, pool, "gate", gates=("red/1",))
    detection = TiledDetection([behind, gate], engine="onnxruntime", overlap=24, concurrency=2, cpu=pool)
    assert detection.gated(policy()) == {"red/1"}
    assert detection.gated(policy(threshold=0.1)) == frozenset()
    await detection.run(picture(), policy())
    as_the_service, behind.asked = behind.asked, 0
    found = await detection.run(picture(), policy(threshold=0.01), gated=detection.gated(policy()))
    assert 0 < behind.asked == as_the_service < gate.asked / 4
    assert found.detections.score.min() < 0.5, "less sure objects in them are found, and looked for nowhere else"


async def test_a_gate_that_fails_fails_the_search(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    class Failing(OnnxDetector):
        async def detect(self, tiles: Tiles) -> TileBoxes:
            raise DetectorUnavailable(cause="gone")

    entry = write_toy(tmp_path, "gate", spec={"classes": ("red",), "gates": ("red/1",)})
    gate = Failing(entry, tmp_path / "gate" / "1" / "model.onnx", pool=pool)
    with pytest.raises(DetectorUnavailable):
        await search([red(tmp_path, pool), gate], pool, policy())


class Sees:
    """A gate of two classes: sees the first everywhere in every tile, the second nowhere."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec, self.max_batch, self.any_size = spec, spec.max_batch, False

    async def detect(self, tiles: Tiles) -> TileBoxes:
        scores = np.tile(np.array([0.7, 0.3], np.float32), (len(tiles), 1))
        boxes = np.tile(np.array([0, 0, *tiles.shape[2:0:-1]], np.float32), (len(tiles), 2, 1))
        return TileBoxes(boxes, scores, np.tile([0, 1], (len(tiles), 1)))

    async def check(self) -> None: ...

    async def close(self) -> None: ...


async def test_each_class_has_its_own_tiles(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    spec = toy_spec("gate", classes=("red", "ruby"), gates=("red/1", "ruby/1"))
    first = red(tmp_path, pool)
    entry = write_toy(tmp_path, "ruby")
    second = Counting(entry, tmp_path / "ruby" / "1" / "model.onnx", pool=pool)
    ungated = red(tmp_path, pool, "third")
    searched = await search([first, second, ungated, Sees(spec)], pool, policy(0.6, Effort.BALANCED, "red", "ruby"))
    assert (first.asked, second.asked, ungated.asked) == (searched.tiles, COARSEST, searched.tiles)


class SeesNothing(Sees):
    async def detect(self, tiles: Tiles) -> TileBoxes:
        answer = await super().detect(tiles)
        return TileBoxes(answer.boxes, np.zeros_like(answer.scores), answer.labels)


@pytest.mark.parametrize("projection", [Projection.PLANAR, Projection.EQUIRECTANGULAR])
async def test_the_coarsest_level_is_searched_whatever_the_gate_says(
    tmp_path: Path, pool: ThreadPoolExecutor, projection: Projection
) -> None:
    """What fills a tile on the finer levels is found there or nowhere; then the others are asked about it, too."""
    pixels = np.full((256, 512, 3), 90, np.uint8)
    pixels[96:176, 200:280] = (255, 0, 0)
    detector = red(tmp_path, pool)
    gate = SeesNothing(toy_spec("gate", classes=("red", "ruby"), gates=("red/1",)))
    detection = TiledDetection([detector, gate], engine="onnxruntime", overlap=24, concurrency=2, cpu=pool)
    wanted = policy().model_copy(update={"projection": projection})
    raster = Raster(pixels, ColorModel.RGB, alpha=False)
    searched = await detection.run(raster, wanted)
    assert 0 < detector.asked < searched.tiles / 2
    alone = TiledDetection([detector], engine="onnxruntime", overlap=24, concurrency=2, cpu=pool)
    everything = (await alone.run(raster, wanted)).detections
    assert 0 < len(searched.detections) <= len(everything)
    # On a sphere more views show a corner of it.
    assert projection is not Projection.PLANAR or searched.detections.xyxy.tolist() == everything.xyxy.tolist()
