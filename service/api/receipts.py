"""Receipts: one by its id, its proof, or pages of them, as far as the caller may see them. Each look is audited."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api import openapi
from service.api.auth import Caller, CallerOf, ServicesOf
from service.api.moments import Moment
from service.api.schemas import ReceiptDocument, ReceiptPageDocument
from service.api.services import Services
from service.errors import InvalidRequest, NotPermitted, QuotaExceeded, ReceiptNotFound, ReceiptNotSigned
from service.records.audit import Action, Actor
from service.records.proof import write_proof
from service.records.receipt import Outcome, Receipt

MAX_LIMIT = 500


class ReceiptFilter(BaseModel):
    """Times are RFC 3339 with an offset, e.g. 2026-05-04T08:00:00Z."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Annotated[Moment | None, Field(description="Received at this time or later.")] = None
    until: Annotated[Moment | None, Field(description="Received before this time.")] = None
    caller: Annotated[str | None, Field(max_length=64, description="Id of the API key.")] = None
    source_ref: Annotated[str | None, Field(max_length=200, description="The caller's own reference.")] = None
    outcome: Annotated[Outcome | None, Field(description="ok, rejected or failed.")] = None

    def conditions(self, caller: Caller) -> dict[str, Any]:
        """For the repository, narrowed to what `caller` may see. Raises NotPermitted if it asks for somebody else's."""
        wanted = self.caller
        if caller.only_own:
            if wanted not in (None, caller.id):
                raise NotPermitted("This key sees only its own receipts.")
            wanted = caller.id
        values = {name: getattr(self, name) for name in ReceiptFilter.model_fields}
        return values | {"caller": wanted}

    def facts(self) -> dict[str, Any]:
        """For the audit: the values of a reference stay out, as they may be personal."""
        given = {name: str(value) for name in ReceiptFilter.model_fields if (value := getattr(self, name)) is not None}
        return given | {"source_ref": True} if "source_ref" in given else given


class ReceiptQuery(ReceiptFilter):
    cursor: Annotated[str | None, Field(max_length=500, description="next_cursor of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Receipts of one page.")] = 50


def router() -> APIRouter:
    routes = APIRouter(tags=["receipts"])
    common = (*openapi.COMMON, NotPermitted, QuotaExceeded)
    security = {"security": openapi.SECURITY}
    routes.add_api_route(
        "/v1/receipts/{id}",
        one,
        methods=["GET"],
        operation_id="get_receipt",
        summary="One receipt",
        response_model=ReceiptDocument,
        responses=openapi.problems(*common, ReceiptNotFound),
        openapi_extra=security,
    )
    routes.add_api_route(
        "/v1/receipts/{id}/proof",
        proof,
        methods=["GET"],
        operation_id="get_proof",
        summary="The signed receipt that travels with the picture",
        response_class=Response,
        responses={
            200: {
                "description": "For 'veil verify'; its bytes are exact, so keep it as it is.",
                "content": {"application/json": {"schema": {"type": "object"}}},
                "headers": openapi.headers(),
            },
            **openapi.problems(*common, ReceiptNotFound, ReceiptNotSigned),
        },
        openapi_extra=security,
    )
    routes.add_api_route(
        "/v1/receipts",
        page,
        methods=["GET"],
        operation_id="list_receipts",
        summary="Receipts, the newest first",
        response_model=ReceiptPageDocument,
        responses=openapi.problems(*common, InvalidRequest),
        openapi_extra=security,
    )
    return routes


async def one(id: str, services: ServicesOf, caller: CallerOf) -> ReceiptDocument:
    """The record of one request. Keys that may only anonymize see their own; what they may not see is not there."""
    return ReceiptDocument.of(await seen(id, services, caller))


async def proof(id: str, services: ServicesOf, caller: CallerOf) -> Response:
    """What was signed, the policy, and the signature: nothing of the picture, no boxes, no reference."""
    receipt = await seen(id, services, caller)
    if receipt.signature is None:
        raise ReceiptNotSigned
    headers = {
        "Content-Disposition": f'attachment; filename="{receipt.id}.receipt.json"',
        "Cache-Control": "no-store",
    }
    return Response(write_proof(receipt), media_type="application/json", headers=headers)


async def page(query: Annotated[ReceiptQuery, Query()], services: ServicesOf, caller: CallerOf) -> ReceiptPageDocument:
    """Receipts that fit all filters. Keys that may only anonymize see their own."""
    conditions = query.conditions(caller)
    found = await services.receipts.page(**conditions, cursor=query.cursor, limit=query.limit)
    facts = {"receipts": len(found.receipts), **query.facts()}
    await services.audit.add(Actor.caller(caller.id), Action.RECEIPTS_LISTED, None, facts)
    return ReceiptPageDocument(
        receipts=[ReceiptDocument.of(each) for each in found.receipts], next_cursor=found.next_cursor
    )


async def seen(id: str, services: Services, caller: Caller) -> Receipt:
    """The receipt, once it is recorded who looks at it. Raises ReceiptNotFound."""
    try:
        parsed = UUID(id)
    except ValueError:
        raise ReceiptNotFound from None
    receipt = await services.receipts.get(parsed)
    if caller.only_own and receipt.caller != caller.id:
        raise ReceiptNotFound
    await services.audit.add(Actor.caller(caller.id), Action.RECEIPT_READ, str(receipt.id))
    return receipt
