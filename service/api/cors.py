"""Pages of other origins that may call the API from a browser (CORS, Fetch standard), where the deployment lists any.

Callers send their key in a header: no cookie, no client certificate and no stored password is involved, so browsers
are never told to send any (no `Access-Control-Allow-Credentials`), and a page cannot act for whoever happens to look.
"""

from collections.abc import Sequence

from fastapi import Request
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

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

    def preflight_response(self, request_headers: Headers) -> Response:
        found = super().preflight_response(request_headers)
        if found.status_code < 400:  # noqa: PLR2004
            return found
        kept = {name: value for name, value in found.headers.items() if name.startswith(("access-control-", "vary"))}
        request = Request({"type": "http", "headers": request_headers.raw, "state": {}})
        return answer(OriginNotAllowed(), request, kept)
