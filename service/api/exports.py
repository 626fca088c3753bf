"""All receipts that fit a filter, as a stream: a page of them in memory at a time, whoever reads however slowly."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator, Callable
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from service.api import openapi
from service.api.auth import CallerOf, ServicesOf
from service.api.receipts import ReceiptFilter
from service.api.schemas import ReceiptDocument
from service.errors import InvalidRequest, NotPermitted, QuotaExceeded
from service.records.audit import Action, Actor, AuditLog
from service.records.receipt import Receipt
from service.records.repository import ReceiptRepository

PAGE = 500


class ExportFormat(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return "application/x-ndjson" if self is ExportFormat.NDJSON else "text/csv; charset=utf-8; header=present"


class ExportQuery(ReceiptFilter):
    format: Annotated[ExportFormat, Field(description="ndjson: a receipt a line; csv: a table.")] = ExportFormat.NDJSON


def router() -> APIRouter:
    routes = APIRouter(tags=["receipts"])
    content = {each.media_type.partition(";")[0]: {"schema": {"type": "string"}} for each in ExportFormat}
    routes.add_api_route(
        "/v1/receipts/export",
        export,
        methods=["GET"],
        operation_id="export_receipts",
        summary="Every receipt that fits, the newest first",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "The receipts. A connection that ends before its last chunk is an export that failed.",
                "content": content,
                "headers": openapi.headers(),
            },
            **openapi.problems(*openapi.COMMON, NotPermitted, QuotaExceeded, InvalidRequest),
        },
        openapi_extra={"security": openapi.SECURITY},
    )
    return routes


async def export(query: Annotated[ExportQuery, Query()], services: ServicesOf, caller: CallerOf) -> StreamingResponse:
    """As NDJSON or CSV, without a limit. Keys that may only anonymize get their own."""
    actor = Actor.caller(caller.id)
    conditions = query.conditions(caller)
    lines = audited(services.receipts, services.audit, actor, query.format, conditions, query.facts())
    first = await anext(lines)  # what fails before the first page is a problem document
    headers = {
        "Content-Disposition": f'attachment; filename="receipts.{query.format}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_chain(first, lines), media_type=query.format.media_type, headers=headers)


async def audited(
    receipts: ReceiptRepository,
    audit: AuditLog,
    actor: Actor,
    to: ExportFormat,
    conditions: dict[str, Any],
    facts: dict[str, Any],
) -> AsyncGenerator[bytes]:
    """The export in pieces, a page each; audited before the first and after the last, or where it broke off."""
    await audit.add(actor, Action.RECEIPTS_EXPORT_BEGUN, None, {"format": to.value, **facts})
    count, complete = 0, False
    try:
        write = row_writer(to)
        cursor: str | None = None
        while True:
            page = await receipts.page(**conditions, cursor=cursor, limit=PAGE)
            piece = "".join(write(each) for each in page.receipts)
            if cursor is None and to is ExportFormat.CSV:
                piece = csv_line(list(COLUMNS)) + piece
            count += len(page.receipts)
            cursor = page.next_cursor
            complete = cursor is None
            yield piece.encode()
            if cursor is None:
                return
    finally:
        ended = audit.add(actor, Action.RECEIPTS_EXPORTED, None, {"receipts": count, "complete": complete})
        await asyncio.shield(ended)


def row_writer(to: ExportFormat) -> Callable[[Receipt], str]:
    """What makes a line of a receipt."""
    if to is ExportFormat.NDJSON:
        return lambda receipt: ReceiptDocument.of(receipt).model_dump_json(by_alias=True) + "\n"
    return lambda receipt: csv_line([plain(make(receipt)) for make in COLUMNS.values()])


COLUMNS: dict[str, Callable[[Receipt], Any]] = {
    "id": lambda r: r.id,
    "received_at": lambda r: r.received_at.isoformat(),
    "finished_at": lambda r: r.finished_at.isoformat(),
    "caller": lambda r: r.caller,
    "source_ref": lambda r: r.source_ref,
    "outcome": lambda r: r.outcome.value,
    "problem": lambda r: r.problem,
    "input_format": lambda r: r.input.format,
    "input_width": lambda r: r.input.width,
    "input_height": lambda r: r.input.height,
    "input_bytes": lambda r: r.input.bytes,
    "output_format": lambda r: r.output.format,
    "output_bytes": lambda r: r.output.bytes,
    "output_sha256": lambda r: r.output.sha256,
    "output_rewrite": lambda r: r.output.rewrite.value,
    "policy_digest": lambda r: r.policy_digest,
    "models": lambda r: " ".join(f"{m.name}/{m.version}" for m in r.models),
    "engine": lambda r: r.engine,
    "tiles": lambda r: r.tiles,
    "counts": lambda r: json.dumps(r.counts, sort_keys=True),
    "residual": lambda r: None if r.residual is None else f"{r.residual.count} {r.residual.outcome.value}",
    "service_version": lambda r: r.service_version,
    "signature": lambda r: r.signature,
}
"""The columns of the table; policy, boxes and timings are in NDJSON only."""

FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def plain(value: Any) -> str:
    """As text that a spreadsheet does not take for a formula: a caller chooses its reference."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text


def csv_line(values: list[str]) -> str:
    """One record of RFC 4180."""
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue()


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for each in rest:
            yield each
    finally:
        await rest.aclose()
