"""A report as files: `report.html` for people, `report.json` for programs."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from service.api.schemas import ReceiptDocument
from service.records.audit import Action, Actor, AuditLog
from service.records.database import Database
from service.records.keys import KeyRepository
from service.records.receipt import Receipt
from service.records.repository import ReceiptRepository
from service.records.retention import Retention, RetentionRepository
from service.records.reviews import Recall, ReviewRepository, Sample, recalls
from service.reporting import page
from service.reporting.summary import Report, Scope, Summary, every

LISTED: Final = 1000
"""Receipts that the page lists; the JSON has all of them."""


async def write_report(database: Database, scope: Scope, folder: Path, actor: Actor) -> Report:
    """Writes the report into `folder`, once it is audited that it is made. Raises OSError, RecordStoreUnavailable."""
    facts: dict[str, object] = {"source_ref": True} if scope.source_ref is not None else {}
    facts |= {name: str(value) for name, value in (("since", scope.since), ("until", scope.until)) if value}
    await AuditLog(database).add(actor, Action.RECEIPTS_REPORTED, None, facts)
    receipts = ReceiptRepository(database)
    now = datetime.now(UTC)
    # What arrives meanwhile is in neither pass.
    scope = Scope(scope.source_ref, scope.since, scope.until or now)
    summary = Summary()
    async for receipt in every(receipts, scope):
        summary.take(receipt)
    report = Report(
        scope=scope,
        generated_at=now,
        summary=summary,
        names={key.id: key.name for key in await KeyRepository(database).list()},
        retention=await RetentionRepository(database).stated() or Retention(),
        recalls=await _recalls(ReviewRepository(database), scope),
    )
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    listed = await _write_json(receipts, report, folder / "report.json")
    await asyncio.to_thread(_write_page, report, listed, folder / "report.html")
    return report


def _write_page(report: Report, listed: Sequence[Receipt], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(page.opening(report))
        file.write(page.rows(listed, report))
        file.write(page.CLOSING)


async def _write_json(receipts: ReceiptRepository, report: Report, path: Path) -> Sequence[Receipt]:
    """Writes every receipt as it comes; gives those that the page lists."""
    listed: list[Receipt] = []
    numbers = count()
    with path.open("w", encoding="utf-8") as file:
        head = json.dumps(report.document(), indent=2, ensure_ascii=False)
        file.write(head[: head.rindex("}")].rstrip() + ',\n  "receipts": [')
        async for receipt in every(receipts, report.scope):
            number = next(numbers)
            if number < LISTED:
                listed.append(receipt)
            file.write(",\n    " if number else "\n    ")
            file.write(ReceiptDocument.of(receipt).model_dump_json(by_alias=True))
        file.write("\n  ]\n}\n")
    return listed


async def _recalls(reviews: ReviewRepository, scope: Scope) -> Sequence[tuple[Sample, int, Sequence[Recall]]]:
    """Samples of the period, with how many of their pictures were reviewed; none for a single reference."""
    if scope.source_ref is not None:
        return ()
    found = []
    for sample in await reviews.list(scope.since, scope.until):
        verdicts = await reviews.verdicts(sample.id)
        found.append((sample, len({each.receipt for each in verdicts}), recalls(verdicts)))
    return found
