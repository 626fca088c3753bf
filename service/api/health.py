"""Whether the process lives, and whether it can serve: for balancers, orchestrators and people."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from service import __version__
from service.api.schemas import ComponentDocument, LiveDocument, ReadyDocument
from service.api.services import Services
from service.errors import DetectionFailed, RecordStoreUnavailable, VeilError
from service.observability.logs import get_logger

logger = get_logger(__name__)

FRESH_SECONDS = 1.0
CHECK_SECONDS = 5.0


class Readiness:
    """Asks each part at most once a second, however many probes there are, and says so when a part changes."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = -FRESH_SECONDS
        self._components: dict[str, ComponentDocument] = {}

    async def now(self) -> ReadyDocument:
        async with self._lock:
            if self._clock() - self._asked_at >= FRESH_SECONDS:
                self._set(await self._ask())
                self._asked_at = self._clock()
        components = dict(self._components)
        if self._services.draining.is_set():
            components["server"] = ComponentDocument(status="not ready", reason="The service is shutting down.")
        ready = all(each.status == "ready" for each in components.values())
        return ReadyDocument(status="ready" if ready else "not ready", components=components)

    async def _ask(self) -> dict[str, VeilError | None]:
        database, detectors = await asyncio.gather(
            _failure(self._services.check_database, RecordStoreUnavailable("The record store is not available.")),
            self._detectors(),
        )
        return {"database": database, **detectors}

    async def _detectors(self) -> dict[str, VeilError | None]:
        late = DetectionFailed("The detectors did not answer in time.")
        found: dict[str, VeilError | None] = {}

        async def ask() -> None:
            found.update(await self._services.check_detectors())

        failure = await _failure(ask, late)
        return found if failure is None else {spec.name: failure for spec in self._services.models}

    def _set(self, failures: dict[str, VeilError | None]) -> None:
        for name, failure in failures.items():
            document = ComponentDocument(status="ready")
            if failure is not None:
                document = ComponentDocument(status="not ready", reason=failure.detail)
            if self._components.get(name) != document:
                cause = None if failure is None else failure.cause
                logger.info("component", component=name, status=document.status, reason=document.reason, cause=cause)
            self._components[name] = document


async def _failure(check: Callable[[], Awaitable[None]], late: VeilError) -> VeilError | None:
    """What `check` raises, `late` if it takes too long, None if it returns."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return late
    except VeilError as error:
        return error
    return None


def router() -> APIRouter:
    routes = APIRouter(tags=["health"])
    routes.add_api_route(
        "/livez",
        live,
        methods=["GET"],
        operation_id="live",
        summary="Whether the process lives",
        response_model=LiveDocument,
    )
    routes.add_api_route(
        "/readyz",
        ready,
        methods=["GET"],
        operation_id="ready",
        summary="Whether pictures can be taken right now",
        response_model=ReadyDocument,
        responses={503: {"model": ReadyDocument, "description": "A part is not ready; see components."}},
    )
    return routes


async def live() -> LiveDocument:
    """Answers as long as the event loop runs; asks nobody."""
    return LiveDocument(service_version=__version__)


async def ready(request: Request, response: Response) -> ReadyDocument:
    """Each part with the reason if it is not ready. At most a second old."""
    readiness: Readiness = request.app.state.readiness
    document = await readiness.now()
    response.headers["Cache-Control"] = "no-store"
    if document.status != "ready":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return document
