"""Whose tiles are computed next. One thread, held up until everything is queued: the order is certain."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from service.detection.turns import TurnPool, turn_of


@pytest.fixture
def pool() -> Iterator[TurnPool]:
    pool = TurnPool(1)
    yield pool
    pool.shutdown(wait=True, cancel_futures=True)


class Gate:
    """Holds up the pool's only thread."""

    def __init__(self, pool: TurnPool) -> None:
        self._open, busy = threading.Event(), threading.Event()

        def block() -> None:
            busy.set()
            self._open.wait(30)

        with turn_of("the gate"):
            pool.submit(block)
        assert busy.wait(30)

    def open(self) -> None:
        self._open.set()


def submit(pool: TurnPool, order: list[str], picture: str, count: int) -> list[Future[None]]:
    with turn_of(picture):
        return [pool.submit(order.append, f"{picture}{i}") for i in range(count)]


def test_pictures_take_turns_and_each_keeps_its_order(pool: TurnPool) -> None:
    gate, order = Gate(pool), []
    giant = submit(pool, order, "giant", 6)
    small, other = submit(pool, order, "small", 2), submit(pool, order, "other", 1)
    gate.open()
    for each in giant + small + other:
        each.result(30)
    assert order == ["giant0", "small0", "other0", "giant1", "small1", "giant2", "giant3", "giant4", "giant5"]


async def test_tasks_belong_to_the_picture_that_they_began_in(pool: TurnPool) -> None:
    gate, order = Gate(pool), []

    async def batch(name: str) -> None:
        await asyncio.wrap_future(pool.submit(order.append, name))

    async def picture(name: str, count: int) -> None:
        with turn_of(name):
            async with asyncio.TaskGroup() as group:
                for i in range(count):
                    group.create_task(batch(f"{name}{i}"))

    tasks = [asyncio.create_task(picture("giant", 4))]
    await asyncio.sleep(0.05)
    tasks.append(asyncio.create_task(picture("small", 1)))
    await asyncio.sleep(0.05)
    gate.open()
    await asyncio.gather(*tasks)
    assert order == ["giant0", "small0", "giant1", "giant2", "giant3"]


def test_what_is_cancelled_is_not_computed_and_costs_nobody_a_turn(pool: TurnPool) -> None:
    gate, order = Gate(pool), []
    gone, kept = submit(pool, order, "gone", 3), submit(pool, order, "kept", 2)
    assert all(each.cancel() for each in gone)
    gate.open()
    for each in kept:
        each.result(30)
    assert order == ["kept0", "kept1"]


def test_what_fails_fails_alone(pool: TurnPool) -> None:
    failing = pool.submit(int, "no number")
    assert pool.submit(int, "7").result(30) == 7
    with pytest.raises(ValueError, match="no number"):
        failing.result(30)


def test_shutting_down_cancels_what_waits_and_refuses_more(pool: TurnPool) -> None:
    gate, order = Gate(pool), []
    waiting = submit(pool, order, "late", 3)
    closing = threading.Thread(target=pool.shutdown, kwargs={"cancel_futures": True})
    closing.start()
    for each in waiting:
        while not each.cancelled():
            closing.join(0.01)
    gate.open()
    closing.join(30)
    assert order == []
    with pytest.raises(RuntimeError):
        pool.submit(int)
