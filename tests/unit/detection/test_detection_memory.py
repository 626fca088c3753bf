import asyncio

import pytest

from service.detection.memory import DetectionMemory
from service.detection.tiled import Searched
from service.errors import DetectorUnavailable
from service.imaging.detections import Detections
from service.policy import ClassPolicy, Effort, Policy, Shape

POLICY = Policy(classes=(ClassPolicy(name="face", threshold=0.5, margin=0.1, shape=Shape.ELLIPSE),))


class Search:
    """Finds something new each time that it is asked."""

    def __init__(self) -> None:
        self.count = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def __call__(self) -> Searched:
        self.count += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Searched(Detections.empty(("face",), ("face/1",)), self.count, "onnxruntime", ())


async def test_equal_uploads_are_searched_once_also_at_the_same_time() -> None:
    memory, search = DetectionMemory(), Search()
    search.gate.clear()
    name = memory.fingerprint(b"a", POLICY)
    waiting = [asyncio.create_task(memory.recall(name, search)) for _ in range(3)]
    await asyncio.sleep(0)
    search.gate.set()
    found = await asyncio.gather(*waiting)
    assert {each.tiles for each in found} == {1}
    assert (await memory.recall(memory.fingerprint(b"a", POLICY), search)).tiles == 1
    assert search.count == 1


async def test_other_bytes_and_other_policies_are_other_searches() -> None:
    memory, search = DetectionMemory(), Search()
    thorough = Policy(classes=POLICY.classes, effort=Effort.THOROUGH)
    names = {memory.fingerprint(b"a", POLICY), memory.fingerprint(b"b", POLICY), memory.fingerprint(b"a", thorough)}
    assert len(names) == 3
    assert [(await memory.recall(name, search)).tiles for name in names] == [1, 2, 3]


def test_no_other_process_can_tell_which_upload_it_was() -> None:
    assert DetectionMemory().fingerprint(b"a", POLICY)[0] != DetectionMemory().fingerprint(b"a", POLICY)[0]


async def test_a_failure_is_not_remembered_and_who_waits_goes_on() -> None:
    memory, search = DetectionMemory(), Search()
    search.failure = DetectorUnavailable()
    search.gate.clear()
    name = memory.fingerprint(b"a", POLICY)
    waiting = [asyncio.create_task(memory.recall(name, search)) for _ in range(2)]
    await asyncio.sleep(0)
    search.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in results] == [DetectorUnavailable] * 2
    search.failure = None
    assert (await memory.recall(name, search)).tiles == 3


async def test_a_cancelled_search_leaves_the_way_free() -> None:
    memory, search = DetectionMemory(), Search()
    search.gate.clear()
    name = memory.fingerprint(b"a", POLICY)
    first = asyncio.create_task(memory.recall(name, search))
    await asyncio.sleep(0)
    second = asyncio.create_task(memory.recall(name, search))
    await asyncio.sleep(0)
    first.cancel()
    search.gate.set()
    assert (await second).tiles == 2
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_it_forgets_the_oldest_and_everything_after_its_time() -> None:
    memory, search = DetectionMemory(seconds=0.02, most=2), Search()
    for data in (b"a", b"b", b"c"):
        await memory.recall(memory.fingerprint(data, POLICY), search)
    assert len(memory) == 2
    async with asyncio.timeout(5):
        while len(memory):
            await asyncio.sleep(0.005)
    assert search.count == 3
