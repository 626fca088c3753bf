"""The pages that explain the API, served from the package itself: they work without internet."""

import html
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from service.api.problems import KINDS, RouteNotFound, all_problems, kind_of

STATIC = Path(fastapi_offline.__file__).parent / "static"
FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data: blob:; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
"""Swagger UI starts from an inline script and styles inline; nothing may come from another host."""


def router() -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/openapi.json", openapi_document, methods=["GET"])
    routes.add_api_route("/docs", docs, methods=["GET"])
    routes.add_api_route("/docs/static/{name}", static, methods=["GET"])
    routes.add_api_route("/problems/{slug}", problem, methods=["GET"])
    return routes


async def openapi_document(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


async def docs() -> HTMLResponse:
    """Addresses are relative, so the page also works behind a proxy that adds a prefix."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Veil API",
        swagger_js_url="docs/static/swagger-ui-bundle.js",
        swagger_css_url="docs/static/swagger-ui.css",
        swagger_favicon_url="docs/static/favicon.png",
    )
    page.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return page


async def static(name: str) -> FileResponse:
    if name not in FILES:
        raise RouteNotFound
    return FileResponse(STATIC / name, media_type=FILES[name], headers={"Cache-Control": "public, max-age=86400"})


async def problem(slug: str) -> HTMLResponse:
    """What the `type` of a problem document points at."""
    for kind in all_problems():
        if kind.slug == slug and kind in KINDS:
            about = kind_of(kind)
            text = "".join(
                f"<p>{html.escape(line)}</p>" for line in (kind.default_detail, about.remedy, f"Status {about.status}")
            )
            title = html.escape(kind.title)
            return HTMLResponse(
                f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{text}'
            )
    raise RouteNotFound
