"""Pages of other origins that may call the API from a browser (CORS, Fetch standard), where the deployment lists any.

Callers send their key in a header: no cookie, no client certificate and no stored password is involved, so browsers
are never told to send any (no `Access-Control-Allow-Credentials`), and a page cannot act for whoever happens to look.
"""

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import Request
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import OriginNotAllowed, answer

METHODS = ("GET", "POST", "DELETE")
REQUEST_HEADERS = ("Authorization", "Api-Key", "Content-Type", "X-Request-Id")
EXPOSED = (
    "Veil-Receipt",
    "Veil-Signature",
    "Veil-Detections",
    "Veil-Projection",
    "Veil-Residual",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "X-Request-Id",
)
MAX_AGE = 600
KEPT = frozenset({"vary", "access-control-allow-origin", "access-control-allow-methods"})
"""Of the framework's refusal: an allowed origin may read why its method or header is not."""


class AllowedOrigins(CORSMiddleware):
    """Starlette's, with a problem document for what is refused. Around all that answers, so that errors have it too."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=EXPOSED,
            max_age=MAX_AGE,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if "origin" in headers and "access-control-request-method" in headers and scope["method"] == "OPTIONS":
            found = self.preflight_response(headers)
            if found.status_code >= HTTPStatus.BAD_REQUEST:
                kept = {name: value for name, value in found.headers.items() if name in KEPT}
                found = answer(OriginNotAllowed(), Request(scope), kept)
            await found(scope, receive, send)
            return
        await super().__call__(scope, receive, send)
