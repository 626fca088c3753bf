"""How long records are kept, and their removal when that time is over.

What is kept for how long is stated in the database first: its triggers let nothing be removed that is younger
(`migrations.guards_0003`), and write the entry of the audit themselves.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import CursorResult, Table, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from service.records.audit import Action, Actor, record
from service.records.database import Database
from service.records.tables import audit, receipts, retention

BATCH: Final = 2000
"""Rows of one transaction: well within the time that the database has for a statement."""

LOCK: Final = 0x5645494C50
"""PostgreSQL's advisory lock of one batch: a replica that does not get it leaves the work to the one that has it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days for which receipts, their boxes and the audit are kept; None: for good."""

    receipts_days: int | None = None
    detections_days: int | None = None
    audit_days: int | None = None

    def __bool__(self) -> bool:
        return any(asdict(self).values())


@dataclass(frozen=True, slots=True)
class Purged:
    """How many were removed, or would be: receipts, boxes of receipts that stay, entries of the audit."""

    receipts: int = 0
    detections: int = 0
    audit: int = 0


class RetentionRepository:
    """The retention of one database. Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stated(self) -> Retention | None:
        """What is in force, None if nothing was ever stated."""
        rows = await self._database.rows(select(retention))
        return Retention(*(rows[0][name] for name in FIELDS)) if rows else None

    async def state(self, wanted: Retention, actor: Actor) -> bool:
        """Puts `wanted` into force; gives whether that changed anything. The database audits a change itself."""
        now = await self.stated()
        if now == wanted or (now is None and not wanted):
            return False
        values = {**asdict(wanted), "changed_at": datetime.now(UTC), "changed_by": actor.kind.value}
        insert = self._database.insert(retention).values(id=1, **values)
        await self._database.execute(insert.on_conflict_do_update(index_elements=[retention.c.id], set_=values))
        return True

    async def due(self, wanted: Retention) -> Purged:
        """What a purge under `wanted` would remove."""
        kinds = _kinds(wanted, datetime.now(UTC))
        counts = {}
        for name, (table, condition, _) in kinds.items():
            rows = await self._database.rows(select(func.count().label("n")).select_from(table).where(condition))
            counts[name] = rows[0]["n"]
        return Purged(**counts)

    async def purge(self, actor: Actor) -> Purged:
        """Removes what the stated retention does not keep, in batches, each audited as a count in its own transaction.

        Safe with any number of replicas: one works on a batch at a time, the others leave it to that one.
        """
        stated = await self.stated() or Retention()
        done = dict.fromkeys(KINDS, 0)
        for name, (table, condition, values) in _kinds(stated, datetime.now(UTC)).items():
            while True:
                work = partial(self._batch, actor=actor, name=name, table=table, condition=condition, values=values)
                count = await self._database.transaction(work)
                if not count:
                    break
                done[name] += count
        return Purged(**done)

    async def _batch(
        self,
        connection: AsyncConnection,
        actor: Actor,
        name: str,
        table: Table,
        condition: ColumnElement[bool],
        values: dict[str, None] | None,
    ) -> int:
        """One batch: how many rows it took, 0 if there are none or somebody else is at it."""
        if self._database.on_postgresql:
            locked = await connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK})
            if not locked.scalar_one():
                return 0
        oldest = select(table.c.id).where(condition).order_by(table.c[MOMENT[table.name]]).limit(BATCH)
        which = table.c.id.in_(oldest.scalar_subquery())
        statement = delete(table).where(which) if values is None else update(table).where(which).values(values)
        taken: CursorResult[Any] = await connection.execute(statement)
        if taken.rowcount:
            await connection.execute(record(self._database, actor, Action.PURGED, None, {name: taken.rowcount}))
        return taken.rowcount


FIELDS: Final = ("receipts_days", "detections_days", "audit_days")
KINDS: Final = ("receipts", "detections", "audit")
MOMENT: Final = {"receipts": "received_at", "audit": "at"}


def _kinds(kept: Retention, now: datetime) -> dict[str, tuple[Table, ColumnElement[bool], dict[str, None] | None]]:
    """For each kind with a retention: the table, which rows are over it, and what becomes of them (None: removed)."""
    found: dict[str, tuple[Table, ColumnElement[bool], dict[str, None] | None]] = {}
    if kept.receipts_days:
        found["receipts"] = (receipts, receipts.c.received_at < _limit(now, kept.receipts_days), None)
    if kept.detections_days:
        old = receipts.c.received_at < _limit(now, kept.detections_days)
        found["detections"] = (receipts, old & receipts.c.detections.is_not(None), {"detections": None})
    if kept.audit_days:
        found["audit"] = (audit, audit.c.at < _limit(now, kept.audit_days), None)
    return found


def _limit(now: datetime, days: int) -> datetime:
    """A minute later than the database's own limit, so that clocks that differ a little do not refuse a whole batch."""
    return now - timedelta(days=days, minutes=1)
