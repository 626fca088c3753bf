"""Receipts come back as they went in, once, and in order: on SQLite here, on PostgreSQL in `tests/postgres`."""

import asyncio
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from service.errors import InvalidRequest, ReceiptNotFound
from service.records.receipt import InputFacts, Outcome, OutputFacts, Receipt, Rewrite
from service.records.repository import ReceiptRepository
from tests.unit.records.stores import MOMENT, full, minimal


@pytest.mark.parametrize(
    "receipt",
    [
        pytest.param(full(), id="full"),
        pytest.param(minimal(), id="minimal"),
        pytest.param(minimal(detections=(), policy={}, source_ref="", counts={"face": 0}), id="empty is not None"),
        pytest.param(minimal(output=OutputFacts(rewrite=Rewrite.FULL), input=InputFacts(bytes=0)), id="zero"),
    ],
)
async def test_a_receipt_comes_back_as_it_was(receipts: ReceiptRepository, receipt: Receipt) -> None:
    await receipts.add(receipt)
    assert await receipts.get(receipt.id) == receipt


async def test_every_field_is_stored(receipts: ReceiptRepository) -> None:
    """Each field for itself: changed alone, it comes back changed."""
    for field in fields(Receipt):
        changed = replace(minimal(), **{field.name: getattr(full(), field.name)})
        await receipts.add(changed)
        assert await receipts.get(changed.id) == changed


async def test_times_come_back_in_utc(receipts: ReceiptRepository) -> None:
    summer = timezone(timedelta(hours=2))
    receipt = minimal(received_at=datetime(2026, 7, 1, 0, 30, 0, 7, summer))
    await receipts.add(receipt)
    stored = await receipts.get(receipt.id)
    assert stored.received_at == receipt.received_at
    assert stored.received_at.isoformat() == "2026-06-30T22:30:00.000007+00:00"
    assert isinstance(stored.id, UUID)


async def test_a_time_without_a_zone_is_refused(receipts: ReceiptRepository) -> None:
    with pytest.raises(Exception, match="without a time zone"):
        await receipts.add(minimal(received_at=datetime(2026, 7, 1)))


async def test_a_receipt_is_stored_once_and_never_changed(receipts: ReceiptRepository) -> None:
    receipt = minimal(outcome=Outcome.OK)
    await receipts.add(receipt)
    await receipts.add(replace(receipt, outcome=Outcome.FAILED, problem="client-disconnected"))
    assert await receipts.get(receipt.id) == receipt
    assert len((await receipts.page()).receipts) == 1


async def test_an_unknown_id_is_not_found(receipts: ReceiptRepository) -> None:
    await receipts.add(minimal())
    with pytest.raises(ReceiptNotFound):
        await receipts.get(uuid7())


async def test_fifty_at_once_are_all_stored(receipts: ReceiptRepository) -> None:
    many = [minimal(tiles=number) for number in range(50)]
    await asyncio.gather(*(receipts.add(receipt) for receipt in many))
    page = await receipts.page(limit=100)
    assert {receipt.id for receipt in page.receipts} == {receipt.id for receipt in many}


async def test_pages_hold_everything_once_newest_first(receipts: ReceiptRepository) -> None:
    """Also where many share one moment, and the id decides."""
    many = [minimal(received_at=MOMENT + timedelta(microseconds=number // 4)) for number in range(23)]
    for receipt in reversed(many):
        await receipts.add(receipt)
    expected = sorted(many, key=lambda receipt: (receipt.received_at, receipt.id), reverse=True)
    for limit in (1, 5, 22, 23, 24):
        assert await all_pages(receipts, limit=limit) == expected


async def test_new_receipts_do_not_shift_pages(receipts: ReceiptRepository) -> None:
    many = [minimal(received_at=MOMENT + timedelta(seconds=number)) for number in range(6)]
    for receipt in many:
        await receipts.add(receipt)
    first = await receipts.page(limit=3)
    await receipts.add(minimal(received_at=MOMENT + timedelta(days=1)))
    second = await receipts.page(limit=3, cursor=first.next_cursor)
    assert [*first.receipts, *second.receipts] == many[::-1]
    assert second.next_cursor is None


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"since": MOMENT + timedelta(seconds=2)}, [4, 3, 2]),
        ({"until": MOMENT + timedelta(seconds=2)}, [1, 0]),
        ({"since": MOMENT + timedelta(seconds=1), "until": MOMENT + timedelta(seconds=3)}, [2, 1]),
        ({"caller": "a"}, [4, 2, 0]),
        ({"caller": "nobody"}, []),
        ({"source_ref": "ref-3"}, [3]),
        ({"outcome": Outcome.OK}, [4]),
        ({"caller": "a", "outcome": Outcome.REJECTED}, [2, 0]),
    ],
)
async def test_conditions(receipts: ReceiptRepository, conditions: dict[str, Any], expected: list[int]) -> None:
    for number in range(5):
        await receipts.add(
            minimal(
                received_at=MOMENT + timedelta(seconds=number),
                caller="ab"[number % 2],
                source_ref=f"ref-{number}",
                outcome=Outcome.OK if number == 4 else Outcome.REJECTED,
                tiles=number,
            )
        )
    assert [receipt.tiles for receipt in (await receipts.page(**conditions)).receipts] == expected
    assert [receipt.tiles for receipt in await all_pages(receipts, limit=1, **conditions)] == expected


async def test_a_wrong_cursor_is_the_callers_error(receipts: ReceiptRepository) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await receipts.page(cursor="x")
    assert [problem.pointer for problem in caught.value.problems] == ["/cursor"]


async def test_an_abandoned_request_leaves_the_store_usable(receipts: ReceiptRepository) -> None:
    """A caller that is cancelled at any moment takes no connection and no lock with it."""
    for steps in range(40):
        adding = asyncio.create_task(receipts.add(minimal()))
        for _ in range(steps % 12):
            await asyncio.sleep(0)
        adding.cancel()
    receipt = minimal(received_at=datetime.now(UTC))
    await asyncio.wait_for(receipts.add(receipt), 5)
    assert (await receipts.page(limit=1)).receipts == (receipt,)


async def all_pages(receipts: ReceiptRepository, **conditions: Any) -> list[Receipt]:
    found: list[Receipt] = []
    page = await receipts.page(**conditions)
    found.extend(page.receipts)
    while page.next_cursor is not None:
        page = await receipts.page(cursor=page.next_cursor, **conditions)
        assert page.receipts
        found.extend(page.receipts)
    return found
