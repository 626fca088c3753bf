"""Removal of receipts on request (Art. 17 GDPR), before their retention is over, and audited as a count."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.records.audit import Action, Actor, record
from service.records.database import Database
from service.records.tables import receipts

BATCH: Final = 2000


class Erasure:
    """Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, source_ref: str) -> tuple[int, datetime | None, datetime | None]:
        """How many receipts have the reference, when the first was received and when the last."""
        at = receipts.c.received_at
        statement = select(func.count().label("n"), func.min(at).label("first"), func.max(at).label("last"))
        [row] = await self._database.rows(statement.where(receipts.c.source_ref == source_ref))
        return row["n"], row["first"], row["last"]

    async def erase(self, source_ref: str, actor: Actor) -> int:
        """Removes every receipt with the reference; gives how many. The reference itself is not audited."""
        erased = 0
        while count := await self._database.transaction(lambda connection: self._batch(connection, source_ref, actor)):
            erased += count
        return erased

    async def _batch(self, connection: AsyncConnection, source_ref: str, actor: Actor) -> int:
        some = select(receipts.c.id).where(receipts.c.source_ref == source_ref).limit(BATCH)
        ids = (await connection.execute(some)).scalars().all()
        if not ids:
            return 0
        # First: the trigger lets receipts go only in a transaction that has this entry.
        await connection.execute(record(self._database, actor, Action.RECEIPTS_ERASED, None, {"receipts": len(ids)}))
        taken: CursorResult[Any] = await connection.execute(delete(receipts).where(receipts.c.id.in_(ids)))
        return taken.rowcount
