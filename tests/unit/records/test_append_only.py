"""What is recorded stays: the database refuses, whoever asks. SQLite here, PostgreSQL in `tests/postgres`."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from service.records.audit import COMMAND_LINE, SERVICE, Action, AuditLog
from service.records.database import Database
from service.records.erasure import Erasure
from service.records.receipt import Outcome, OutputFacts
from service.records.repository import ReceiptRepository
from service.records.retention import Purged, Retention, RetentionRepository
from service.records.signing import PublicKey
from service.records.signing_keys import SigningKeyRepository
from service.records.tables import audit, retention, samples, signing_keys, verdicts
from service.records.tables import receipts as table
from tests.unit.records.stores import full, minimal


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


async def refused(database: Database, statement: Any) -> None:
    async def work(connection: Any) -> None:
        await connection.execute(statement)

    with pytest.raises(IntegrityError):
        await database.transaction(work)


async def accepted(database: Database, statement: Any) -> int:
    async def work(connection: Any) -> int:
        count: int = (await connection.execute(statement)).rowcount
        return count

    return await database.transaction(work)


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


async def test_the_audit_is_neither_changed_nor_removed(database: Database, log: AuditLog) -> None:
    await log.add(COMMAND_LINE, Action.KEY_CREATED, "0123456789abcdef", {"role": "read"})
    before = (await log.page()).entries
    await refused(database, update(audit).values(subject="other"))
    await refused(database, update(audit).values(at=ago(1000)))
    await refused(database, delete(audit))
    # Neither does a retention of receipts, or a long one of the audit, open it.
    await RetentionRepository(database).state(Retention(receipts_days=1, audit_days=30), SERVICE)
    await refused(database, delete(audit))
    after = (await log.page()).entries
    assert after[1:] == before
    assert after[0].action is Action.RETENTION_CHANGED


async def test_receipts_are_not_changed(database: Database, receipts: ReceiptRepository) -> None:
    receipt = full()
    await receipts.add(receipt)
    needed: dict[str, Any] = {"received_at": ago(0), "finished_at": ago(0), "outcome": "failed", "tiles": 1}
    needed |= {"output_rewrite": "none", "models": [], "counts": {"face": 99}, "timings_ms": {}, "id": minimal().id}
    needed |= {"service_version": "9"}
    for column in table.c:
        await refused(database, update(table).values({column.name: needed.get(column.name)}))
    assert await receipts.get(receipt.id) == receipt


async def test_receipts_go_by_retention_or_erasure_only(database: Database, receipts: ReceiptRepository) -> None:
    old, young = minimal(received_at=ago(11)), minimal(received_at=ago(9), source_ref="a")
    await receipts.add(old)
    await receipts.add(young)
    await refused(database, delete(table))
    await RetentionRepository(database).state(Retention(receipts_days=10), SERVICE)
    await refused(database, delete(table))
    await refused(database, delete(table).where(table.c.id == young.id))
    assert await accepted(database, delete(table).where(table.c.id == old.id)) == 1


async def test_boxes_are_removed_by_retention_only(database: Database, receipts: ReceiptRepository) -> None:
    await receipts.add(full())
    await refused(database, update(table).values(detections=None))
    await RetentionRepository(database).state(Retention(detections_days=10), SERVICE)
    await refused(database, update(table).values(detections=[]))
    await refused(database, update(table).values(detections=None, tiles=0))
    assert await accepted(database, update(table).values(detections=None)) == 1


async def test_whoever_changes_the_retention_is_audited(database: Database, log: AuditLog) -> None:
    """Also without the service: the database itself writes the entry."""
    values = {"receipts_days": 5, "changed_at": ago(0), "changed_by": "command line"}
    await accepted(database, insert(retention).values(id=1, **values))
    await accepted(database, update(retention).values(receipts_days=None, audit_days=30))
    await refused(database, delete(retention))
    newest, first = (await log.page()).entries
    unset = {"receipts_days": None, "detections_days": None, "audit_days": None}
    assert (newest.action, newest.actor) == (Action.RETENTION_CHANGED, COMMAND_LINE)
    assert newest.facts == {**unset, "audit_days": 30, "before": {**unset, "receipts_days": 5}}
    assert first.facts == {**unset, "receipts_days": 5, "before": None}


async def test_the_audit_is_kept_for_a_month_at_least(database: Database) -> None:
    for wrong in ({"audit_days": 29}, {"receipts_days": 0}, {"detections_days": -1}, {"id": 2}):
        values = {"id": 1, "changed_at": ago(0), "changed_by": "service"} | wrong
        await refused(database, insert(retention).values(values))


async def test_signing_keys_samples_and_verdicts_are_kept(database: Database) -> None:
    await SigningKeyRepository(database).register(PublicKey(b"k" * 32))
    sample = {"id": "s", "since": ago(1), "until": ago(0), "size": 1, "seed": "x", "population": 1, "receipts": []}
    await accepted(database, insert(samples).values(**sample, drawn_at=ago(0)))
    verdict = {"id": minimal().id, "sample_id": "s", "receipt_id": minimal().id, "class_name": "face", "at": ago(0)}
    await accepted(database, insert(verdicts).values(**verdict, seen=2, missed=1))
    await refused(database, insert(verdicts).values(**(verdict | {"id": minimal().id}), seen=1, missed=2))
    for kept in (signing_keys, verdicts, samples):
        await refused(database, delete(kept))
    await refused(database, update(signing_keys).values(public="other"))
    await refused(database, update(samples).values(seed="y"))
    await refused(database, update(verdicts).values(missed=0))
    assert await accepted(database, update(signing_keys).values(revoked_at=ago(0))) == 1
    await refused(database, update(signing_keys).values(revoked_at=None))


async def test_a_purge_removes_what_is_over_and_counts_it(
    database: Database, receipts: ReceiptRepository, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.records.retention.BATCH", 3)
    kept = full()
    young = minimal(received_at=ago(1), detections=kept.detections, outcome=Outcome.OK, output=OutputFacts())
    middle = minimal(received_at=ago(15), detections=kept.detections, counts={"face": 2})
    for receipt in (young, middle, *(minimal(received_at=ago(50 + i)) for i in range(7))):
        await receipts.add(receipt)
    statement = insert(audit).values(
        id=minimal().id, at=ago(99), actor="service", action=Action.PURGED.value, facts={"receipts": 1}
    )
    await accepted(database, statement)
    store = RetentionRepository(database)
    wanted = Retention(receipts_days=40, detections_days=10, audit_days=90)
    assert await store.state(wanted, SERVICE)
    assert not await store.state(wanted, SERVICE)
    assert await store.stated() == wanted
    expected = Purged(receipts=7, detections=1, audit=1)
    assert await store.due(Retention(receipts_days=40, audit_days=90)) == Purged(receipts=7, audit=1)
    # Receipts that go take their boxes along, so only those of what stays are counted, in this order.
    assert await store.purge(SERVICE) == expected
    assert await store.purge(SERVICE) == Purged()
    left = {receipt.id: receipt for receipt in (await receipts.page()).receipts}
    assert set(left) == {young.id, middle.id}
    assert left[young.id].detections == kept.detections
    assert (left[middle.id].detections, left[middle.id].counts) == (None, {"face": 2})
    entries = [each.facts for each in (await log.page(action=Action.PURGED)).entries]
    totals = {name: sum(each.get(name, 0) for each in entries) for name in ("receipts", "detections", "audit")}
    assert totals == {"receipts": 7, "detections": 1, "audit": 1}
    assert len(entries) == 5


async def test_an_erasure_takes_every_receipt_with_the_reference(
    database: Database, receipts: ReceiptRepository, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.records.erasure.BATCH", 2)
    other = minimal(source_ref="other")
    await receipts.add(other)
    for number in range(5):
        await receipts.add(minimal(source_ref="Jane Doe", received_at=ago(number)))
    erasure = Erasure(database)
    count, first, last = await erasure.due("Jane Doe")
    assert count == 5
    assert first is not None
    assert last is not None
    assert last - first > timedelta(days=3)
    assert await erasure.erase("Jane Doe", COMMAND_LINE) == 5
    assert await erasure.erase("Jane Doe", COMMAND_LINE) == 0
    assert (await receipts.page()).receipts == (other,)
    entries = (await log.page(action=Action.RECEIPTS_ERASED)).entries
    assert [entry.facts for entry in entries] == [{"receipts": 1}, {"receipts": 2}, {"receipts": 2}]
    everything = await database.rows(select(audit))
    assert "Jane" not in str(everything)


async def test_purges_at_the_same_time_remove_each_row_once(
    url: str, database: Database, receipts: ReceiptRepository, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.records.retention.BATCH", 5)
    for _ in range(40):
        await receipts.add(minimal(received_at=ago(100)))
    await RetentionRepository(database).state(Retention(receipts_days=10), SERVICE)
    replicas = [Database.connect(url, timeout=20) for _ in range(3)]
    try:
        purged = await asyncio.gather(*(RetentionRepository(each).purge(SERVICE) for each in replicas))
    finally:
        for each in replicas:
            await each.close()
    while (again := await RetentionRepository(database).purge(SERVICE)).receipts:
        purged.append(again)
    assert sum(each.receipts for each in purged) == 40
    counted = [entry.facts["receipts"] for entry in (await log.page(action=Action.PURGED)).entries]
    assert sum(counted) == 40
    assert (await receipts.page()).receipts == ()


async def test_the_stated_retention_survives_a_plain_text_statement(database: Database) -> None:
    """The guard does not depend on how a statement is written."""
    await AuditLog(database).add(SERVICE, Action.PURGED)
    await refused(database, text("DELETE FROM audit WHERE action = 'purged'"))
    assert len((await AuditLog(database).page()).entries) == 1
    assert await database.rows(select(table)) == []
