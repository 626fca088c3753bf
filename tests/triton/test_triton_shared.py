"""Tiles in shared memory, with a real tritonserver: the same answers, and no tile that stays anywhere."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from service.detection.shared_tiles import PLACE, SharedTiles
from service.detection.triton import TritonDetector, connect
from service.models.catalog import Catalog, ModelSpec
from service.models.export import export_repository
from tests.toy import write_toy
from tests.triton.server import TritonProcess


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return write_toy(tmp_path_factory.getbasetemp() / "shared-catalog", "red")


@pytest.fixture
def server(spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    repository = tmp_path_factory.mktemp("shared-repository")
    export_repository(Catalog(tmp_path_factory.getbasetemp() / "shared-catalog", [spec]), repository, "python")
    with TritonProcess(tmp_path_factory.mktemp("shared-triton"), repository=repository) as process:
        yield process


@pytest.fixture
async def client(server: TritonProcess) -> AsyncIterator[InferenceServerClient]:
    client = connect(server.url)
    yield client
    await client.close()


def tiles(count: int = 3) -> np.ndarray:
    made = np.zeros((count, 64, 64, 3), np.uint8)
    for i in range(count):
        made[i, 8 * i : 8 * i + 4, 12:16, 0] = 255 - i
    return made


def named() -> set[str]:
    return {path.name for path in PLACE.glob("veil-*") if not path.name.startswith("veil-test")}


async def regions(client: InferenceServerClient) -> dict[str, dict[str, object]]:
    status = await client.get_system_shared_memory_status(as_json=True)
    return dict(status.get("regions", {}))


async def test_the_answers_are_those_of_messages(client: InferenceServerClient, spec: ModelSpec) -> None:
    shared = SharedTiles(client)
    by_memory = TritonDetector(spec, client, timeout=20, shared=shared)
    by_message = TritonDetector(spec, client, timeout=20)
    batches = [tiles(n) for n in (1, 2, 3, 4)]
    for batch in batches:
        one, other = await by_memory.detect(batch), await by_message.detect(batch)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
        assert one.scores.max() > 0.5
    assert len(await regions(client)) == 1, "the region is used again"
    together = await asyncio.gather(*(by_memory.detect(batch) for batch in batches))
    for batch, answer in zip(batches, together, strict=True):
        np.testing.assert_array_equal(answer.scores, (await by_message.detect(batch)).scores)
    await shared.close()
    assert not await regions(client)


async def test_no_tile_stays_in_memory_and_none_has_a_name(client: InferenceServerClient, spec: ModelSpec) -> None:
    before = named()
    shared = SharedTiles(client)
    await TritonDetector(spec, client, timeout=20, shared=shared).detect(tiles())
    assert named() == before
    [[region]] = shared._free.values()
    assert len(await regions(client)) == 1
    assert not np.frombuffer(region.memory, np.uint8).any()
    async with shared.lent(tiles(), 4 * 64 * 64 * 3) as lent:
        assert lent is not None
        assert np.frombuffer(region.memory, np.uint8).any()
        assert named() == before
    assert not np.frombuffer(region.memory, np.uint8).any()


async def test_a_server_that_was_started_again_gets_new_regions(
    server: TritonProcess, client: InferenceServerClient, spec: ModelSpec
) -> None:
    detector = TritonDetector(spec, client, timeout=20, shared=SharedTiles(client))
    first = await detector.detect(tiles())
    server.kill()
    await asyncio.to_thread(server.start)
    for _ in range(100):
        if await client.is_server_ready():
            break
        await asyncio.sleep(0.05)
    np.testing.assert_array_equal((await detector.detect(tiles())).scores, first.scores)
    assert not await regions(client), "by message"
    np.testing.assert_array_equal((await detector.detect(tiles())).scores, first.scores)
    assert len(await regions(client)) == 1


async def test_a_server_that_cannot_map_them_gets_messages(
    client: InferenceServerClient, spec: ModelSpec, tmp_path: Path
) -> None:
    """As with a server in another container: what lies here is not there."""
    detector = TritonDetector(spec, client, timeout=20, shared=SharedTiles(client, tmp_path))
    assert (await detector.detect(tiles())).scores.max() > 0.5
    assert not list(tmp_path.iterdir())
    assert not await regions(client)


async def test_a_batch_that_nobody_waits_for_is_wiped(client: InferenceServerClient, spec: ModelSpec) -> None:
    shared = SharedTiles(client)
    detector = TritonDetector(spec, client, timeout=20, shared=shared)
    await detector.detect(tiles())
    [[region]] = shared._free.values()
    running = asyncio.create_task(detector.detect(tiles()))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not np.frombuffer(region.memory, np.uint8).any()
    assert (await detector.detect(tiles())).scores.max() > 0.5
