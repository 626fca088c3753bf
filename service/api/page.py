"""The page at the root of the service, for people: upload, look, correct, download, review, statistics.

It is a client of the API like any other and holds no right of its own: these files are open to everybody, and whatever
they show comes from routes that ask for a key.
"""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from service.api.problems import RouteNotFound
from service.page import INDEX, files

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from another host. `blob:` are the pictures that the browser holds; `data:` are icons."""

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}
"""no-cache: kept, but asked for again each time, so that a page of before an upgrade is never shown after it."""


def router() -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/", index, methods=["GET"])
    routes.add_api_route("/page/{path:path}", part, methods=["GET"])
    return routes


async def index(request: Request) -> Response:
    return _answer(INDEX, request)


async def part(path: str, request: Request) -> Response:
    """A file of the page. Raises RouteNotFound if it has none of this name."""
    return _answer(path, request)


def _answer(path: str, request: Request) -> Response:
    found = files().get(path)
    if found is None:
        raise RouteNotFound
    tag = f'"{found.tag}"'
    headers = HEADERS | {"ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(found.data, headers=headers, media_type=found.media_type)
