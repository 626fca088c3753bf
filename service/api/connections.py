"""Connections with bounds: in number, in the time and size of a request's head, and in how slowly an answer is read.

uvicorn bounds none of these: a client that sends a byte of its head now and then, or never reads its answer, keeps its
connection (and the answer's memory) for as long as it likes. What uploads may take is bounded in `uploads`.
"""

import asyncio
import fcntl
import json
import termios
import uuid
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.api.problems import (
    DEFAULT_RETRY_AFTER,
    MEDIA_TYPE,
    HeadIncomplete,
    HeadTooLarge,
    MalformedRequest,
    TooManyConnections,
    kind_of,
)
from service.errors import VeilError

LINGER_SECONDS = 2.0
"""For a refused client that is still sending: closing at once would make its system discard the answer."""

PACE_SECONDS = 10.0
"""Over which the least rate of a reader is measured."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`most` connections; `head_seconds` and `head_bytes` for the head of one request; `least_rate` in bytes a second
    at which an answer must be read, 0 for none."""

    most: int
    head_seconds: float
    head_bytes: int
    least_rate: float


@dataclass(frozen=True, slots=True)
class Shared:
    """What the connections of one server have in common.

    `ended` is told the slug of each connection that is ended early. `waiting`: connections on which no request is under
    way, the one that waits longest first.
    """

    limits: ConnectionLimits
    draining: asyncio.Event
    ended: Callable[[str], None]
    waiting: "dict[BoundedProtocol, None]" = field(default_factory=dict)


class BoundedProtocol(HttpToolsProtocol):
    """One connection of the server that the subclass was made for, see `bounded`."""

    shared: ClassVar[Shared]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._pace_timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._problem: VeilError | None = None
        self._refused = False

    # --- the life of a connection ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn says it
        super().connection_made(transport)
        self.shared.waiting[self] = None
        self._arm()
        if len(self.connections) > self.shared.limits.most:
            longest = next(iter(self.shared.waiting))
            if longest is self:
                self._refuse(TooManyConnections())
            else:
                # Whoever waits has sent no request yet, or has its answer: nothing is lost, as if it came later.
                longest._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._idle_no_more()
        self._disarm()
        self._stop_watching()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """As uvicorn's, but a request whose head is on its way is still taken: it is the connection's last."""
        if not (self._in_head and self._head_bytes) or self._refused:
            super().shutdown()

    def _make_room(self) -> None:
        self.shared.ended(TooManyConnections.slug)
        self._idle_no_more()
        self.transport.abort()

    # --- the head of a request ------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head:
            self._head_bytes += len(data)
            self._arm()
        super().data_received(data)
        if self._in_head and self._head_bytes > self.shared.limits.head_bytes and not self._refused:
            self._refuse(HeadTooLarge())

    def on_headers_complete(self) -> None:
        self._disarm()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.shared.limits.head_bytes:
            self._problem = HeadTooLarge()
            raise ValueError("the head is too large")
        self._in_head = False
        self._idle_no_more()
        super().on_headers_complete()
        if self.shared.draining.is_set():
            # A balancer that keeps connections open must open its next one elsewhere.
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the parser's own words say nothing to a caller
        self._refuse(self._problem or MalformedRequest())

    def _arm(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.shared.limits.head_seconds, self._late)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _late(self) -> None:
        self._head_timer = None
        if self._busy:
            self.cycle.keep_alive = False
        elif self._head_bytes == 0:
            self.transport.close()
        else:
            self._refuse(HeadIncomplete())

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _idle_no_more(self) -> None:
        self.shared.waiting.pop(self, None)

    def _refuse(self, error: VeilError) -> None:
        """Answers with the problem and closes; in the middle of another answer it only closes, after that."""
        self._disarm()
        self._refused = True
        if self._busy:
            self.cycle.keep_alive = False
            return
        self.shared.ended(error.slug)
        self._idle_no_more()
        if self.transport.is_closing():
            return
        self.transport.write(refusal(error, self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    # --- answers that are not read --------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()
        if not self.transport.is_closing() and not self._busy:
            self.shared.waiting[self] = None

    def pause_writing(self) -> None:
        """Until `resume_writing`, nothing more is written."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching()

    def _watch(self) -> None:
        """Looks after a while how much of what waits to be sent has arrived."""
        self._stop_watching()
        if self.shared.limits.least_rate and self.transport.get_write_buffer_size():
            self._unsent = self._not_arrived()
            self._pace_timer = self.loop.call_later(PACE_SECONDS, self._check_pace)

    def _stop_watching(self) -> None:
        if self._pace_timer is not None:
            self._pace_timer.cancel()
            self._pace_timer = None

    def _check_pace(self) -> None:
        self._pace_timer = None
        arrived = self._unsent - self._not_arrived()
        if self.transport.get_write_buffer_size() and arrived < self.shared.limits.least_rate * PACE_SECONDS:
            self.shared.ended("answer-not-read")
            self.transport.abort()
        else:
            self._watch()

    def _not_arrived(self) -> int:
        """Bytes that the client's system has not confirmed, the kernel's queue included: that takes in megabytes at a
        time, so that the transport's own buffer may stand still for a minute before a slow but steady reader."""
        socket = self.transport.get_extra_info("socket")
        queued = array("i", [0])
        fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, queued)
        return self.transport.get_write_buffer_size() + queued[0]


def bounded(limits: ConnectionLimits, draining: asyncio.Event, ended: Callable[[str], None]) -> type[BoundedProtocol]:
    """The protocol of one server."""
    return type("BoundedConnection", (BoundedProtocol,), {"shared": Shared(limits, draining, ended)})


def refusal(error: VeilError, headers: list[tuple[bytes, bytes]]) -> bytes:
    """A whole answer with the problem document of `error`, for a request that never became one."""
    status = kind_of(type(error)).status
    request_id = uuid.uuid4().hex
    body = json.dumps(
        {
            "type": f"/problems/{error.slug}",
            "title": error.title,
            "status": status,
            "detail": error.detail,
            "remedy": kind_of(type(error)).remedy,
            "request_id": request_id,
        }
    ).encode()
    sent = [
        *headers,
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent.append((b"retry-after", str(int(DEFAULT_RETRY_AFTER)).encode()))
    return b"".join([STATUS_LINE[status], *(b"%s: %s\r\n" % each for each in sent), b"\r\n", body])
