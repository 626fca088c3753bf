"""Who is worked on when memory is short: order, never time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from service.admission import Admission
from service.errors import Overloaded, TooMuchMemory

MEMORY = 1600
SMALL, GIANT, HALF = 100, 1400, 700


class House:
    """An admission and those who came, by name."""

    def __init__(self, workers: int = 4) -> None:
        self.admission = Admission(workers=workers, queue=32, wait_seconds=60, memory=MEMORY)
        self.inside: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, weight: int) -> None:
        self._leave[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._stay(name, weight))
        await self.settle()

    async def _stay(self, name: str, weight: int) -> None:
        async with self.admission.place(), self.admission.worker(weight=weight):
            self.inside.append(name)
            await self._leave[name].wait()
            self.inside.remove(name)

    async def leave(self, name: str) -> None:
        self._leave[name].set()
        await self._tasks[name]
        await self.settle()

    async def give_up(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for event in self._leave.values():
            event.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.close()


async def test_pictures_come_in_as_long_as_memory_lasts(house: House) -> None:
    for name in ("a", "b", "c"):
        await house.come(name, HALF)
    assert house.inside == ["a", "b"]
    await house.leave("a")
    assert house.inside == ["b", "c"]


async def test_a_small_picture_never_waits_for_a_giant(house: House) -> None:
    await house.come("giant", GIANT)
    await house.come("waiting giant", GIANT)
    await house.come("small", SMALL)
    assert house.inside == ["giant", "small"]


async def test_large_pictures_leave_a_worker_to_small_ones() -> None:
    house = House(workers=2)
    await house.come("large", HALF // 2)
    await house.come("other", HALF // 2)
    await house.come("small", SMALL)
    assert house.inside == ["large", "small"]
    await house.leave("large")
    assert house.inside == ["small", "other"]
    await house.close()


async def test_a_stream_of_small_pictures_does_not_keep_a_giant_out(house: House) -> None:
    for i in range(3):
        await house.come(f"small{i}", SMALL)
    await house.come("giant", GIANT)
    assert "giant" not in house.inside
    for i in range(3, 9):
        await house.come(f"small{i}", SMALL)
        await house.leave(f"small{i - 3}")
        if "giant" in house.inside:
            break
    assert "giant" in house.inside


async def test_giants_keep_their_order(house: House) -> None:
    await house.come("first", GIANT)
    await house.come("second", GIANT)
    await house.come("third", HALF)
    await house.leave("first")
    assert house.inside == ["second"]
    await house.leave("second")
    assert house.inside == ["third"]


async def test_who_gives_up_makes_way(house: House) -> None:
    await house.come("large", HALF)
    await house.come("giant", GIANT)
    await house.come("other", HALF)
    assert house.inside == ["large"]
    await house.give_up("giant")
    assert house.inside == ["large", "other"]
    assert (house.admission.working, house.admission.places) == (2, 2)


async def test_what_can_never_fit_is_refused_at_once(house: House) -> None:
    async with house.admission.place():
        with pytest.raises(TooMuchMemory) as caught:
            async with house.admission.worker(weight=MEMORY):
                pass
    assert str(MEMORY) in (caught.value.cause or "")
    assert str(MEMORY) not in caught.value.detail, "a setting's value is not public"
    assert house.admission.working == 0


async def test_who_waits_too_long_for_memory_is_told_to_come_back() -> None:
    admission = Admission(workers=4, queue=4, wait_seconds=0.01, memory=MEMORY)
    async with AsyncExitStack() as held:
        await held.enter_async_context(admission.place())
        await held.enter_async_context(admission.worker(weight=GIANT))
        with pytest.raises(Overloaded):
            async with admission.place(), admission.worker(weight=GIANT):
                pass
    async with admission.place(), admission.worker(weight=GIANT):
        assert admission.working == 1
