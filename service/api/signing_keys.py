"""The public keys that receipts are verified with: for everybody, at a well-known place (RFC 8615)."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from service.api import openapi
from service.api.auth import ServicesOf
from service.errors import RecordStoreUnavailable, VeilError
from service.records.signing import key_set

PATH = "/.well-known/veil-keys.json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["keys"],
    "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
}


def router() -> APIRouter:
    routes = APIRouter(tags=["receipts"])
    routes.add_api_route(
        PATH,
        every,
        methods=["GET"],
        operation_id="list_signing_keys",
        summary="The keys that receipts are signed with",
        response_class=JSONResponse,
        responses={
            200: {
                "description": "A JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037), the newest first.",
                "content": {"application/json": {"schema": SCHEMA}},
                "headers": openapi.headers(),
            },
            **openapi.problems(VeilError, RecordStoreUnavailable),
        },
    )
    return routes


async def every(services: ServicesOf) -> JSONResponse:
    """Retired keys stay, so that old receipts can be verified; revoked ones say so."""
    return JSONResponse(key_set(await services.signing_keys.list()), headers={"Cache-Control": "public, max-age=60"})
