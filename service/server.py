"""`veil serve`: listens, says where, drains on SIGTERM."""

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

import uvicorn

from service import __version__
from service.api.application import create_api
from service.api.connections import ConnectionLimits, bounded
from service.api.health import Readiness
from service.api.schemas import LiveDocument
from service.api.services import Services
from service.app.failure import StartError
from service.app.records import retention_of
from service.app.serving import require_keys, tls_files
from service.app.serving import services as services_of
from service.app.veil import Veil, open_veil
from service.observability.metrics import Metrics
from service.observability.operations import serve_operations
from service.records.retention import RetentionRepository
from service.records.schedule import purges
from service.settings import Server, Settings, Tls
from service.tls import ReloadingContext, TlsError

BACKLOG = 512
READY_SECONDS = 10.0
"""Longest wait of a probe for the event loop: longer than the checks behind it may take."""

OTHER_FILES = 256
"""File descriptors beside connections: database, libraries, detectors, pipes."""


class DrainingServer(uvicorn.Server):
    """Says that it is draining before it stops listening, so that a balancer can look elsewhere."""

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event, delay: float) -> None:
        super().__init__(config)
        self._draining = draining
        self._delay = delay

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes SIGTERM and SIGINT while serving; a drained stop is a success, so neither is raised again after it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Says so at once and takes requests for `delay` seconds more; the second signal waits for nothing."""
        again = self._draining.is_set()
        self._draining.set()
        if self._delay and not again:
            asyncio.get_running_loop().call_later(self._delay, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises StartError or OSError if it cannot start."""
    make_room(settings.server.max_connections)
    listener = socket.create_server((settings.server.host, settings.server.port), backlog=BACKLOG, reuse_port=False)
    with listener:
        async with open_veil(settings) as veil:
            await require_keys(veil)
            services = services_of(veil)
            metrics_of = services.metrics
            api = create_api(services)
            server = DrainingServer(
                uvicorn.Config(
                    api,
                    http=bounded(connection_limits(settings.server), services.draining, metrics_of.connection_ended),
                    timeout_keep_alive=settings.server.keep_alive,
                    access_log=False,
                    log_config=None,
                    server_header=False,
                    lifespan="off",
                    timeout_graceful_shutdown=int(settings.server.drain_timeout),
                ),
                services.draining,
                settings.server.drain_delay,
            )
            retention = RetentionRepository(veil.database)
            keeping = purges(retention, retention_of(settings), settings.retention.every_hours)
            readiness: Readiness = api.state.readiness
            async with keeping, secured(server.config, settings.tls, services.metrics):
                with operations_port(services, readiness, settings) as metrics:
                    _say(veil, listener, metrics)
                    await server.serve(sockets=[listener])


def connection_limits(server: Server) -> ConnectionLimits:
    return ConnectionLimits(
        most=server.max_connections,
        head_seconds=server.head_timeout,
        head_bytes=server.head_bytes,
        least_rate=server.upload_rate,
    )


def make_room(connections: int) -> None:
    """Lets the process open as many files as `connections` need. Raises StartError where the system does not."""
    needed = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (-1, resource.RLIM_INFINITY) and hard < needed:
        raise StartError(
            f"VEIL_SERVER__MAX_CONNECTIONS={connections} needs {needed} file descriptors, and this process may open "
            f"{hard}.\nRaise that limit (ulimit -Hn), or lower the setting."
        )
    if soft not in (-1, resource.RLIM_INFINITY) and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@asynccontextmanager
async def secured(config: uvicorn.Config, tls: Tls, metrics: Metrics) -> AsyncIterator[None]:
    """Makes the server of `config` speak TLS where the settings name files, which are watched while the block runs.

    Raises StartError if the files cannot be used.
    """
    files = tls_files(tls)
    if files is None:
        yield
        return
    try:
        context = ReloadingContext(files)
    except TlsError as error:
        raise StartError(f"VEIL_TLS__CERTIFICATE, __KEY or __CLIENT_CA cannot be used: {error}") from error
    config.load()
    config.ssl = context
    metrics.watch_certificate(context.expires)
    async with context.watched(tls.reload_seconds):
        yield


@contextmanager
def operations_port(services: Services, readiness: Readiness, settings: Settings) -> Iterator[str | None]:
    """Serves metrics and health while the block runs, and gives the metrics' address; None if they are switched off.

    Plain HTTP without keys whatever the API's port speaks: for scrapers and probes, which have no certificates.
    """
    if not settings.server.metrics_enabled:
        yield None
        return
    loop = asyncio.get_running_loop()

    def ready() -> tuple[bool, str]:
        found = asyncio.run_coroutine_threadsafe(readiness.now(), loop).result(READY_SECONDS)
        return found.status == "ready", found.model_dump_json()

    def live() -> tuple[bool, str]:
        return True, LiveDocument(service_version=__version__).model_dump_json()

    health = {"/livez": live, "/readyz": ready}
    host, port = settings.server.metrics_host, settings.server.metrics_port
    with serve_operations(services.metrics.registry, health, host, port) as taken:
        yield f"http://{settings.server.metrics_host}:{taken}/metrics"


def _say(veil: Veil, listener: socket.socket, metrics: str | None) -> None:
    """Where it listens, and one line that works. On stderr: stdout is the log."""
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    scheme = "http" if veil.settings.tls.certificate is None else "https"
    key = ' -H "api-key: $VEIL_KEY"' if veil.settings.keys_needed else ""
    models = ", ".join(spec.label for spec in veil.catalog.specs)
    # One write, the line that works last: who waits for "Veil listens on" in a log has read the rest.
    sys.stderr.write(
        (f"Metrics on {metrics}\n" if metrics else "")
        + f"Veil listens on {scheme}://{host}:{port} ({veil.settings.detection.engine}: {models}); "
        "docs at /docs. Try:\n"
        f"  curl -sS{key} --data-binary @photo.jpg -H 'Content-Type: image/jpeg' "
        f"{scheme}://{host}:{port}/v1/anonymize -o anonymized.jpg\n"
    )
    sys.stderr.flush()


def run(settings: Settings) -> None:
    """`serve` in an event loop of its own."""
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    # Before uvicorn installs its handlers, SIGTERM must end a start that is still waiting for the database.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(settings))
