"""The audit, for administrators: who did what when. Looking at it is audited as well."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from service.api import examples, openapi
from service.api.auth import CallerOf, ServicesOf
from service.api.moments import Moment
from service.api.schemas import Wire
from service.errors import InvalidRequest, NotPermitted, QuotaExceeded
from service.records.audit import Action, Actor, ActorKind, Entry

MAX_LIMIT = 500


class AuditQuery(BaseModel):
    """Times are RFC 3339 with an offset, e.g. 2026-05-04T08:00:00Z."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Annotated[Moment | None, Field(description="Done at this time or later.")] = None
    until: Annotated[Moment | None, Field(description="Done before this time.")] = None
    key: Annotated[str | None, Field(max_length=64, description="Id of the API key that did it.")] = None
    action: Annotated[Action | None, Field(description="What was done.")] = None
    subject: Annotated[str | None, Field(max_length=64, description="Id of what it was done to.")] = None
    cursor: Annotated[str | None, Field(max_length=500, description="next_cursor of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Entries of one page.")] = 50


class ActorDocument(Wire):
    """Who did it; `key_name` is the name that the key had."""

    kind: ActorKind
    key_id: str | None
    key_name: str | None


class EntryDocument(Wire):
    """One thing that was done. `subject` is the id of what it was done to: a receipt, a key, a sample."""

    id: UUID
    at: datetime
    actor: ActorDocument
    action: Action
    subject: str | None
    facts: Annotated[dict[str, Any], Field(description="Counts and settings; never a reference, a name or a place.")]

    @classmethod
    def of(cls, entry: Entry) -> "EntryDocument":
        actor = ActorDocument(kind=entry.actor.kind, key_id=entry.actor.key_id, key_name=entry.actor.key_name)
        return cls(id=entry.id, at=entry.at, actor=actor, action=entry.action, subject=entry.subject, facts=entry.facts)


class AuditPageDocument(Wire):
    """One page, the newest first; `next_cursor` is null on the last."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.AUDIT]})

    entries: list[EntryDocument]
    next_cursor: str | None


def router() -> APIRouter:
    routes = APIRouter(tags=["audit"])
    routes.add_api_route(
        "/v1/audit",
        page,
        methods=["GET"],
        operation_id="list_audit",
        summary="Who did what when, the newest first",
        response_model=AuditPageDocument,
        responses=openapi.problems(*openapi.COMMON, NotPermitted, QuotaExceeded, InvalidRequest),
        openapi_extra={"security": openapi.SECURITY},
    )
    return routes


async def page(query: Annotated[AuditQuery, Query()], services: ServicesOf, caller: CallerOf) -> AuditPageDocument:
    """Pictures are there by their receipts, with the action anonymized, detected, rejected or failed."""
    found = await services.audit.page(**dict(query))
    given = {name: str(value) for name, value in query if value is not None and name not in ("cursor", "limit")}
    facts = {"entries": len(found.entries), **given}
    await services.audit.add(Actor.caller(caller.id), Action.AUDIT_READ, None, facts)
    return AuditPageDocument(entries=[EntryDocument.of(each) for each in found.entries], next_cursor=found.next_cursor)
