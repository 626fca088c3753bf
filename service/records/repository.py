"""Receipts in and out: stored once, read by id, listed newest first."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, literal, select, tuple_

from service.errors import ReceiptNotFound
from service.records.cursor import Position
from service.records.database import Database
from service.records.receipt import (
    DetectionFacts,
    InputFacts,
    ModelFacts,
    Outcome,
    OutputFacts,
    Receipt,
    ResidualFacts,
    ResidualOutcome,
    Rewrite,
)
from service.records.tables import receipts

DEFAULT_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """Some receipts, newest first; `next_cursor` leads to older ones, None if there are none."""

    receipts: tuple[Receipt, ...]
    next_cursor: str | None


class ReceiptRepository:
    """The receipts of one database. Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, receipt: Receipt) -> None:
        """Returns when `receipt` is committed to disk. One that is stored already (same id) stays as it is."""
        statement = self._database.insert(receipts).values(_row(receipt))
        statement = statement.on_conflict_do_nothing(index_elements=[receipts.c.id])
        await self._database.execute(statement)

    async def get(self, id: UUID) -> Receipt:
        """The receipt with this id. Raises ReceiptNotFound."""
        statement = select(receipts).where(receipts.c.id == id)
        rows = await self._database.rows(statement)
        if not rows:
            raise ReceiptNotFound
        return _receipt(rows[0])

    async def page(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        caller: str | None = None,
        source_ref: str | None = None,
        outcome: Outcome | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> ReceiptPage:
        """Up to `limit` receipts that fulfill every given condition: received at or after `since`, before `until`.

        Keyset pagination: a page costs the same wherever it is, and receipts that arrive meanwhile shift nothing.
        Raises InvalidRequest if `cursor` is none that a page gave.
        """
        statement = select(receipts).order_by(receipts.c.received_at.desc(), receipts.c.id.desc()).limit(limit + 1)
        if since is not None:
            statement = statement.where(receipts.c.received_at >= since)
        if until is not None:
            statement = statement.where(receipts.c.received_at < until)
        for column, value in ((receipts.c.caller, caller), (receipts.c.source_ref, source_ref)):
            if value is not None:
                statement = statement.where(column == value)
        if outcome is not None:
            statement = statement.where(receipts.c.outcome == outcome.value)
        if cursor is not None:
            after = Position.read(cursor)
            place = tuple_(
                literal(after.received_at, receipts.c.received_at.type), literal(after.id, receipts.c.id.type)
            )
            statement = statement.where(tuple_(receipts.c.received_at, receipts.c.id) < place)
        rows = await self._database.rows(statement)
        page = tuple(_receipt(row) for row in rows[:limit])
        return ReceiptPage(page, Position(page[-1].received_at, page[-1].id).text() if len(rows) > limit else None)


def _row(receipt: Receipt) -> dict[str, Any]:
    """`receipt` as values of the columns."""
    return {
        "id": receipt.id,
        "received_at": receipt.received_at,
        "finished_at": receipt.finished_at,
        "caller": receipt.caller,
        "source_ref": receipt.source_ref,
        "outcome": receipt.outcome.value,
        "problem": receipt.problem,
        "input_format": receipt.input.format,
        "input_width": receipt.input.width,
        "input_height": receipt.input.height,
        "input_bytes": receipt.input.bytes,
        "output_format": receipt.output.format,
        "output_bytes": receipt.output.bytes,
        "output_sha256": receipt.output.sha256,
        "output_rewrite": receipt.output.rewrite.value,
        "policy": receipt.policy,
        "policy_digest": receipt.policy_digest,
        "models": [asdict(model) for model in receipt.models],
        "engine": receipt.engine,
        "tiles": receipt.tiles,
        "counts": receipt.counts,
        "detections": None if receipt.detections is None else [asdict(each) for each in receipt.detections],
        "residual": None if receipt.residual is None else asdict(receipt.residual),
        "timings_ms": receipt.timings_ms,
        "service_version": receipt.service_version,
        "detections_digest": receipt.detections_digest,
        "signature": receipt.signature,
    }


def _receipt(row: RowMapping) -> Receipt:
    """The receipt that `_row` turned into `row`."""
    detections, residual = row["detections"], row["residual"]
    return Receipt(
        id=row["id"],
        received_at=row["received_at"],
        finished_at=row["finished_at"],
        outcome=Outcome(row["outcome"]),
        service_version=row["service_version"],
        caller=row["caller"],
        source_ref=row["source_ref"],
        problem=row["problem"],
        input=InputFacts(row["input_format"], row["input_width"], row["input_height"], row["input_bytes"]),
        output=OutputFacts(
            row["output_format"], row["output_bytes"], row["output_sha256"], Rewrite(row["output_rewrite"])
        ),
        policy=row["policy"],
        policy_digest=row["policy_digest"],
        models=tuple(ModelFacts(**model) for model in row["models"]),
        engine=row["engine"],
        tiles=row["tiles"],
        counts=row["counts"],
        detections=None if detections is None else tuple(_detection(each) for each in detections),
        residual=None if residual is None else ResidualFacts(residual["count"], ResidualOutcome(residual["outcome"])),
        timings_ms=row["timings_ms"],
        detections_digest=row["detections_digest"],
        signature=row["signature"],
    )


def _detection(stored: Mapping[str, Any]) -> DetectionFacts:
    x1, y1, x2, y2 = stored["box"]
    polygon = stored.get("polygon")  # receipts of before panoramas have none
    return DetectionFacts(
        stored["class_name"],
        stored["score"],
        (x1, y1, x2, y2),
        stored["model"],
        None if polygon is None else tuple((x, y) for x, y in polygon),
    )
