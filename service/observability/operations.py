"""The port for operators: metrics and health in plain HTTP, with threads of its own.

A busy event loop does not delay a scrape, and scrapers and probes need neither a key nor a certificate: so it belongs
on loopback or a closed network, where it is by default.
"""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

Health = Mapping[str, Callable[[], tuple[bool, str]]]
"""By path: whether all is well, and a JSON document that says so."""


@contextmanager
def serve_operations(registry: CollectorRegistry, health: Health, host: str, port: int) -> Iterator[int]:
    """Serves `registry` at /metrics, and `health`, while the block runs; gives the port (0 takes a free one).

    Raises OSError if the address cannot be taken.
    """
    metrics = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            scraped: Iterable[bytes] = metrics(environ, start)
            return scraped
        if path not in health:
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics, /livez and /readyz are here\n"]
        try:
            good, document = health[path]()
        except TimeoutError:
            good, document = False, '{"status": "not ready"}'
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        start("200 OK" if good else "503 Service Unavailable", headers)
        return [document.encode()]

    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]

    class Server(ThreadingWSGIServer):
        address_family = family
        daemon_threads = True

    server = make_server(host, port, answer, Server, handler_class=_Quiet)
    thread = Thread(target=server.serve_forever, name="operations", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(WSGIRequestHandler):
    """Logs nothing: addresses of scrapers are nobody's business."""

    def log_message(self, format: str, *args: object) -> None: ...
