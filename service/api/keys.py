"""API keys over HTTP, for administrators: made, listed, shown, revoked. The command line does the same."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from service.api import openapi
from service.api.auth import CallerOf, ServicesOf
from service.api.bodies import read_json
from service.api.moments import Moment
from service.api.schemas import Wire
from service.api.terms import key_terms
from service.errors import KeyNotFound, NotPermitted, QuotaExceeded
from service.records.audit import Actor
from service.records.key import Key, Quota, Role
from service.records.keys import MAX_NAME, MAX_QUOTA

Options = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=10_000)]],
    Field(description="Options of the API that requests have where they name none themselves.", max_length=64),
]
Fixed = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Field(description="Options that requests may not name.", max_length=64),
]
PerMinute = Annotated[int, Field(ge=1, le=MAX_QUOTA)]


class NewKey(Wire):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME, description="What the key is for.")]
    role: Role
    expires_at: Annotated[Moment | None, Field(description="When it stops working.")] = None
    quota_requests: Annotated[PerMinute | None, Field(description="Requests in a minute.")] = None
    quota_megapixels: Annotated[PerMinute | None, Field(description="Megapixels of pictures in a minute.")] = None
    options: Annotated[Options, Field(default_factory=dict)]
    fixed: Annotated[Fixed, Field(default_factory=list)]


class KeyDocument(Wire):
    """A key without its secret."""

    id: str
    name: str
    role: Role
    active: Annotated[bool, Field(description="Whether it is neither revoked nor expired.")]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    quota_requests: int | None
    quota_megapixels: int | None
    options: Options
    fixed: Fixed

    @classmethod
    def of(cls, key: Key) -> "KeyDocument":
        return cls(
            id=key.id,
            name=key.name,
            role=key.role,
            active=key.active(datetime.now(UTC)),
            created_at=key.created_at,
            expires_at=key.terms.expires_at,
            revoked_at=key.revoked_at,
            quota_requests=key.terms.quota.requests,
            quota_megapixels=key.terms.quota.megapixels,
            options=dict(key.terms.options),
            fixed=sorted(key.terms.fixed),
        )


class MadeKeyDocument(Wire):
    """A new key. The token is shown here and never again."""

    key: KeyDocument
    token: str


class KeysDocument(Wire):
    keys: list[KeyDocument]


def router() -> APIRouter:
    routes = APIRouter(tags=["keys"])
    common = (*openapi.COMMON, NotPermitted, QuotaExceeded)
    security = {"security": openapi.SECURITY}
    routes.add_api_route(
        "/v1/keys",
        every,
        methods=["GET"],
        operation_id="list_keys",
        summary="All keys, the oldest first",
        response_model=KeysDocument,
        responses=openapi.problems(*common),
        openapi_extra=security,
    )
    routes.add_api_route(
        "/v1/keys",
        create,
        methods=["POST"],
        status_code=201,
        operation_id="create_key",
        summary="Make a key",
        response_model=MadeKeyDocument,
        responses=openapi.problems(*common, *openapi.JSON_BODY),
        openapi_extra=security | {"requestBody": openapi.json_body(NewKey)},
    )
    for method, work, operation, summary in (
        ("GET", one, "get_key", "One key"),
        ("DELETE", revoke, "revoke_key", "Revoke a key for good"),
    ):
        routes.add_api_route(
            "/v1/keys/{id}",
            work,
            methods=[method],
            operation_id=operation,
            summary=summary,
            response_model=KeyDocument,
            responses=openapi.problems(*common, KeyNotFound),
            openapi_extra=security,
        )
    return routes


async def every(services: ServicesOf) -> KeysDocument:
    """Revoked and expired keys too."""
    return KeysDocument(keys=[KeyDocument.of(key) for key in await services.keys.list()])


async def create(request: Request, response: Response, services: ServicesOf, caller: CallerOf) -> MadeKeyDocument:
    """The answer has the token, once; only its hash is stored."""
    wanted = await read_json(request, NewKey)
    quota = Quota(wanted.quota_requests, wanted.quota_megapixels)
    terms = key_terms(
        services.rules, expires_at=wanted.expires_at, quota=quota, options=wanted.options, fixed=wanted.fixed
    )
    key, token = await services.keys.create(wanted.name, wanted.role, terms, by=Actor.caller(caller.id))
    response.headers["Cache-Control"] = "no-store"
    return MadeKeyDocument(key=KeyDocument.of(key), token=token)


async def one(id: str, services: ServicesOf) -> KeyDocument:
    """By its id."""
    return KeyDocument.of(await _found(services, id))


async def revoke(id: str, services: ServicesOf, caller: CallerOf) -> KeyDocument:
    """It stops working within seconds on every replica. Revoking it again changes nothing."""
    await _found(services, id)
    return KeyDocument.of(await services.keys.revoke(id, by=Actor.caller(caller.id)))


async def _found(services: ServicesOf, id: str) -> Key:
    """Raises KeyNotFound: a name is not an id."""
    key = await services.keys.get(id)
    if key is None or key.id != id:
        raise KeyNotFound
    return key
