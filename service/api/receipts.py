"""Receipts: one by its id, or pages of them, as far as the caller may see them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.api import openapi
from service.api.auth import CallerOf, ServicesOf
from service.api.schemas import ReceiptDocument, ReceiptPageDocument
from service.errors import InvalidRequest, NotPermitted, ReceiptNotFound
from service.records.receipt import Outcome

MAX_LIMIT = 500


class ReceiptQuery(BaseModel):
    """Times are RFC 3339 with an offset, e.g. 2026-05-04T08:00:00Z."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Annotated[AwareDatetime | None, Field(description="Received at this time or later.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Received before this time.")] = None
    caller: Annotated[str | None, Field(max_length=64, description="Id of the API key.")] = None
    source_ref: Annotated[str | None, Field(max_length=200, description="The caller's own reference.")] = None
    outcome: Annotated[Outcome | None, Field(description="ok, rejected or failed.")] = None
    cursor: Annotated[str | None, Field(max_length=500, description="next_cursor of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Receipts of one page.")] = 50


def router() -> APIRouter:
    routes = APIRouter(tags=["receipts"])
    routes.add_api_route(
        "/v1/receipts/{id}",
        one,
        methods=["GET"],
        operation_id="get_receipt",
        summary="One receipt",
        response_model=ReceiptDocument,
        responses=openapi.problems(*openapi.COMMON, NotPermitted, ReceiptNotFound),
        openapi_extra={"security": openapi.SECURITY},
    )
    routes.add_api_route(
        "/v1/receipts",
        page,
        methods=["GET"],
        operation_id="list_receipts",
        summary="Receipts, the newest first",
        response_model=ReceiptPageDocument,
        responses=openapi.problems(*openapi.COMMON, NotPermitted, InvalidRequest),
        openapi_extra={"security": openapi.SECURITY},
    )
    return routes


async def one(id: str, services: ServicesOf, caller: CallerOf) -> ReceiptDocument:
    """The record of one request. Keys that may only anonymize see their own; what they may not see is not there."""
    try:
        parsed = UUID(id)
    except ValueError:
        raise ReceiptNotFound from None
    receipt = await services.receipts.get(parsed)
    if caller.only_own and receipt.caller != caller.id:
        raise ReceiptNotFound
    return ReceiptDocument.of(receipt)


async def page(query: Annotated[ReceiptQuery, Query()], services: ServicesOf, caller: CallerOf) -> ReceiptPageDocument:
    """Receipts that fit all filters. Keys that may only anonymize see their own."""
    wanted = query.caller
    if caller.only_own:
        if wanted not in (None, caller.id):
            raise NotPermitted("This key sees only its own receipts.")
        wanted = caller.id
    found = await services.receipts.page(
        since=query.since,
        until=query.until,
        caller=wanted,
        source_ref=query.source_ref,
        outcome=query.outcome,
        cursor=query.cursor,
        limit=query.limit,
    )
    return ReceiptPageDocument(
        receipts=[ReceiptDocument.of(each) for each in found.receipts], next_cursor=found.next_cursor
    )
