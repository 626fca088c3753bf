"""One suite for both engines: the same models, in this process and behind a real tritonserver."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from service.detection import triton as triton_engine
from service.detection.detector import Detector, TileBoxes
from service.detection.embedded import OnnxDetector
from service.detection.tiled import TiledDetection
from service.models.catalog import Catalog
from service.policy import Effort, Policy
from tests.pictures import FACE, PLATE, raster, street
from tests.triton.server import TritonProcess

Detectors = dict[str, Detector]
Tiles = npt.NDArray[np.uint8]


@pytest.fixture
async def embedded(catalog: Catalog) -> AsyncIterator[Detectors]:
    with ThreadPoolExecutor(2) as pool:
        yield {spec.name: OnnxDetector(spec, catalog.file(spec), pool=pool) for spec in catalog.specs}


@pytest.fixture
async def remote(catalog: Catalog, triton: TritonProcess) -> AsyncIterator[Detectors]:
    client = triton_engine.connect(triton.url)
    yield {spec.name: triton_engine.TritonDetector(spec, client, timeout=30) for spec in catalog.specs}
    await client.close()


@pytest.fixture(params=["embedded", "remote"])
def detectors(request: pytest.FixtureRequest, embedded: Detectors, remote: Detectors) -> Detectors:
    return {"embedded": embedded, "remote": remote}[request.param]


def different_tiles(count: int) -> Tiles:
    """The same street moved to the right, each time a little more."""
    return np.stack([np.roll(street(), 16 * i, axis=1) for i in range(count)])


def same(one: TileBoxes, other: TileBoxes) -> None:
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    sure = one.scores > 0.05
    assert sure.any()
    np.testing.assert_allclose(one.boxes[sure], other.boxes[sure], atol=0.05)


@pytest.mark.parametrize(("name", "truth"), [("face", FACE), ("plate", PLATE)])
async def test_the_object_is_found_where_it_is(
    detectors: Detectors, name: str, truth: tuple[int, int, int, int]
) -> None:
    detector = detectors[name]
    answer = await detector.detect(street()[None])
    spec = detector.spec
    assert answer.boxes.shape == (1, spec.max_detections, 4)
    assert answer.scores.shape == (1, spec.max_detections)
    assert answer.labels is None
    found = answer.boxes[0][answer.scores[0] >= spec.threshold]
    assert len(found)
    low, high = np.array(truth[:2]), np.array(truth[2:])
    middles = (found[:, :2] + found[:, 2:]) / 2
    assert ((middles > low) & (middles < high)).all(), "nothing is found elsewhere"
    np.testing.assert_array_less(found[:, :2].min(0), low + 8)
    np.testing.assert_array_less(high - 8, found[:, 2:].max(0))


@pytest.mark.parametrize("name", ["face", "plate"])
async def test_a_full_batch_answers_as_single_tiles_do(detectors: Detectors, name: str) -> None:
    detector = detectors[name]
    tiles = different_tiles(detector.max_batch)
    together = await detector.detect(tiles)
    for i, tile in enumerate(tiles):
        same(await detector.detect(tile[None]), TileBoxes(together.boxes[i : i + 1], together.scores[i : i + 1]))


async def test_answers_to_concurrent_questions_are_not_mixed_up(detectors: Detectors) -> None:
    detector = detectors["plate"]
    tiles = different_tiles(8)
    alone = [await detector.detect(tile[None]) for tile in tiles]
    for answer, expected, other in zip(
        await asyncio.gather(*(detector.detect(tile[None]) for tile in tiles)),
        alone,
        alone[1:] + alone[:1],
        strict=True,
    ):
        same(answer, expected)
        assert np.abs(answer.boxes[0, 0] - other.boxes[0, 0]).max() > 8, "the next tile shows it elsewhere"


async def test_nothing_is_found_where_nothing_is(detectors: Detectors) -> None:
    for detector in detectors.values():
        answer = await detector.detect(np.full((1, 640, 640, 3), 114, np.uint8))
        assert answer.scores.max() < detector.spec.threshold


@pytest.mark.parametrize("shape", [(0, 640, 640, 3), (9, 640, 640, 3), (1, 320, 640, 3)])
async def test_tiles_that_the_contract_does_not_allow_are_refused(detectors: Detectors, shape: tuple[int, ...]) -> None:
    for detector in detectors.values():
        with pytest.raises(ValueError, match="tiles are"):
            await detector.detect(np.zeros(shape, np.uint8))


async def test_check_says_that_all_is_well(detectors: Detectors) -> None:
    for detector in detectors.values():
        await detector.check()


async def test_both_engines_give_the_same_boxes_for_a_photograph(embedded: Detectors, remote: Detectors) -> None:
    for name, detector in embedded.items():
        same(await detector.detect(different_tiles(3)), await remote[name].detect(different_tiles(3)))


async def test_both_engines_give_the_same_numbers_for_noise(embedded: Detectors, remote: Detectors) -> None:
    """The canary: a backend that reads or sends other bytes than it was given answers with plausible boxes, too."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 640, 640, 3), dtype=np.uint8)
    for name, detector in embedded.items():
        one, other = await detector.detect(noise), await remote[name].detect(noise)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        assert one.scores.min() >= 0
        assert len(np.unique(one.scores)) > 100


@pytest.mark.parametrize("effort", [Effort.BALANCED, Effort.THOROUGH])
async def test_both_engines_find_the_same_in_a_whole_picture(
    catalog: Catalog, embedded: Detectors, remote: Detectors, effort: Effort
) -> None:
    wide = raster(np.concatenate([street(), street()[:, ::-1]], axis=1))
    policy = Policy(classes=tuple(each for spec in catalog.specs for each in spec.class_policies()), effort=effort)
    with ThreadPoolExecutor(1) as cpu:
        here, there = [
            await TiledDetection(list(detectors.values()), engine=engine, overlap=128, concurrency=2, cpu=cpu).run(
                wide, policy
            )
            for detectors, engine in ((embedded, "onnxruntime"), (remote, "triton"))
        ]
    assert here.tiles == there.tiles > 1
    assert here.models == there.models
    assert here.detections.counts() == there.detections.counts()
    assert min(here.detections.counts().values()) >= 2
    np.testing.assert_allclose(here.detections.xyxy, there.detections.xyxy, atol=0.05)
