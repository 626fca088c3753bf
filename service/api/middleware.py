"""Around every request, as pure ASGI: an id, security headers, a log line, metrics, and an answer in any case."""

import logging
import re
import time
import uuid
from http import HTTPStatus

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import CLIENT_CLOSED, answer
from service.errors import DetectionFailed, VeilError
from service.observability.logs import get_logger
from service.observability.metrics import Metrics
from service.records.draft import Draft

logger = get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PROBES = ("/livez", "/readyz")
"""Asked every few seconds for ever: logged only where they fail, or at level debug."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class RequestId:
    """Gives each request an id, its caller's own if that is harmless, for the answer, the log and the problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_headers)


class Observed:
    """Logs and counts each request by its route's template; never a path, a query, an address or a user agent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        ended: float | None = None
        status, sent = CLIENT_CLOSED, 0

        async def send_and_count(message: Message) -> None:
            nonlocal status, sent, ended
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
                # Before sending: what a slow reader or a lingering close takes is not this request's.
                ended = time.perf_counter()
            await send(message)

        try:
            await self._app(scope, receive, send_and_count)
        finally:
            self._observe(scope, status, sent, (ended or time.perf_counter()) - started)

    def _observe(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        state = scope["state"]
        metrics: Metrics = scope["app"].state.services.metrics
        draft: Draft | None = state.get("draft")
        caller = state.get("caller")
        route = getattr(scope.get("route"), "path", "unmatched")
        metrics.request(route=route, outcome=outcome(status), status=status, seconds=seconds)
        if draft is not None:
            observe_picture(metrics, draft, status)
        if state.get("problem") in DETECTION_PROBLEMS:
            metrics.detector_error(state["problem"])
        quiet = route in PROBES and status < HTTPStatus.BAD_REQUEST
        logger.log(
            logging.DEBUG if quiet else logging.INFO,
            "request",
            method=scope["method"] if scope["method"] in METHODS else "OTHER",
            route=route,
            status=status,
            problem=state.get("problem"),
            duration_ms=round(seconds * 1000, 1),
            bytes=sent,
            receipt=str(draft.id) if draft is not None and draft.committed else None,
            caller=getattr(caller, "id", None),
        )


class Answered:
    """An uncaught exception becomes a problem document and a log entry without values; the server sees neither."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            logger.error("uncaught", exc_info=error)
            if started:
                # Half an answer cannot be taken back: the server must break the connection.
                raise
            await answer(VeilError(), Request(scope))(scope, receive, send)


def outcome(status: int) -> str:
    if status < HTTPStatus.BAD_REQUEST:
        return "ok"
    return "rejected" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed"


def observe_picture(metrics: Metrics, draft: Draft, status: int) -> None:
    """Counts what is known of a picture; size and objects only of one that was answered."""
    metrics.stages(draft.timings_ms)
    if not draft.committed:
        metrics.receipt_lost()
    if status < HTTPStatus.BAD_REQUEST and draft.input.width and draft.input.height:
        metrics.picture(draft.input.width * draft.input.height, draft.counts)


def _slugs(error: type[VeilError]) -> set[str]:
    return {error.slug}.union(*(_slugs(each) for each in error.__subclasses__()))


DETECTION_PROBLEMS = _slugs(DetectionFailed)
