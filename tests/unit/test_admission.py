import asyncio

import pytest

from service.admission import Admission
from service.errors import Overloaded


async def hold(admission: Admission, release: asyncio.Event, entered: asyncio.Event | None = None) -> None:
    async with admission.place(), admission.worker():
        if entered:
            entered.set()
        await release.wait()


async def until(condition: object) -> None:
    while not condition():  # type: ignore[operator]
        await asyncio.sleep(0)


async def test_a_full_house_refuses_at_once_with_a_time_to_come_back() -> None:
    admission = Admission(workers=1, queue=1, wait_seconds=60)
    release = asyncio.Event()
    tasks = [asyncio.create_task(hold(admission, release)) for _ in range(2)]
    await until(lambda: admission.places == 2 and admission.working == 1)
    assert admission.waiting == 1
    with pytest.raises(Overloaded) as caught:
        async with admission.place():
            pass
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 1
    release.set()
    await asyncio.gather(*tasks)
    assert (admission.places, admission.working) == (0, 0)


async def test_who_waits_too_long_is_refused_and_leaves_no_trace() -> None:
    admission = Admission(workers=1, queue=1, wait_seconds=0.01)
    release, entered = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(hold(admission, release, entered))
    await entered.wait()
    with pytest.raises(Overloaded):
        await hold(admission, release)
    assert (admission.places, admission.working) == (1, 1)
    release.set()
    await first


async def test_a_cancelled_waiter_gives_its_place_back() -> None:
    admission = Admission(workers=1, queue=1, wait_seconds=60)
    release, entered = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(hold(admission, release, entered))
    await entered.wait()
    second = asyncio.create_task(hold(admission, release))
    await until(lambda: admission.places == 2)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert (admission.places, admission.working) == (1, 1)
    release.set()
    await first
    await hold(admission, release)


async def test_never_more_workers_than_configured() -> None:
    admission = Admission(workers=3, queue=20, wait_seconds=60)
    most = 0

    async def work() -> None:
        nonlocal most
        async with admission.place(), admission.worker():
            most = max(most, admission.working)
            await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(20)))
    assert most == 3


async def test_the_patient_wait_for_a_place_in_their_order_and_before_others() -> None:
    admission = Admission(workers=1, queue=0, wait_seconds=60)
    release, order = asyncio.Event(), []

    async def patient(name: str) -> None:
        async with admission.place(patience=60):
            order.append(name)

    first = asyncio.create_task(hold(admission, release))
    await until(lambda: admission.working == 1)
    waiting = [asyncio.create_task(patient(name)) for name in "abc"]
    await until(lambda: admission.held == 3)
    with pytest.raises(Overloaded):
        await hold(admission, release)
    release.set()
    await asyncio.gather(first, *waiting)
    assert order == ["a", "b", "c"]
    assert (admission.places, admission.held) == (0, 0)


async def test_patience_ends_and_a_cancelled_one_gives_up_its_turn() -> None:
    admission = Admission(workers=1, queue=0, wait_seconds=60)
    release = asyncio.Event()
    first = asyncio.create_task(hold(admission, release))
    await until(lambda: admission.working == 1)
    with pytest.raises(Overloaded):
        async with admission.place(patience=0.01):
            pass
    waiting = asyncio.create_task(admission.place(patience=60).__aenter__())
    await until(lambda: admission.held == 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()
    await first
    assert (admission.places, admission.held) == (0, 0)
    await hold(admission, release)


async def test_patience_has_a_limit_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.admission.MOST_HELD", 1)
    admission = Admission(workers=1, queue=0, wait_seconds=60)
    release = asyncio.Event()
    first = asyncio.create_task(hold(admission, release))
    await until(lambda: admission.working == 1)
    waiting = asyncio.create_task(admission.place(patience=60).__aenter__())
    await until(lambda: admission.held == 1)
    with pytest.raises(Overloaded):
        async with admission.place(patience=60):
            pass
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()
    await first
