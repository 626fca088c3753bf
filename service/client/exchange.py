"""One request until it is answered, without any input or output: what to send, how long to wait, what came back.

Both clients run this generator and do what it yields, so there is one logic of retrying, not two.
"""

import json
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx

from service.client.answers import problem
from service.client.failures import Unreachable
from service.client.servers import Servers

T = TypeVar("T")

Picture = bytes | Path | BinaryIO
"""A picture's bytes, its file, or an open file; files are read while they are sent."""

Option = str | int | float | bool | Sequence[Any]

AGAIN = (429, 502, 503, 504)
"""Answers that another attempt can change. A request that was answered so left no picture behind, only a receipt."""

LONGEST_PAUSE = 10.0
"""Seconds between attempts where the service names none."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, whichever server it will go to."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    accept: str = "application/json"
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send `ask` to `url`; answer with the response, or throw the httpx.TransportError."""

    ask: Ask
    url: str


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


Exchange = Generator[Send | Wait, httpx.Response | None, T]


def exchange(ask: Ask, servers: Servers, patience: float, read: Callable[[httpx.Response], T]) -> Exchange[T]:
    """What `read` makes of the first answer that is not to be tried again.

    Raises Problem for an error, after `patience` seconds of attempts where another attempt could have helped, and
    Unreachable if by then no server answered.
    """
    deadline = time.monotonic() + patience
    file = None if ask.picture is None or isinstance(ask.picture, bytes | Path) else ask.picture
    start = file.tell() if file is not None and file.seekable() else None
    attempt = 0
    while True:
        url, pause = servers.pick(time.monotonic())
        if pause:
            yield Wait(min(pause, max(deadline - time.monotonic(), 0.0)))
        if file is not None and start is not None:
            file.seek(start)
        failure: Exception
        wanted: float | None = None
        servers.begin(url)
        try:
            response = yield Send(ask, url)
            assert response is not None
            if not response.is_error:
                return read(response)
            failure = problem(response)
            if response.status_code not in AGAIN:
                raise failure
            wanted = _retry_after(response)
        except httpx.TransportError as error:
            failure = Unreachable(f"{url} does not answer: {type(error).__name__} {error}".rstrip())
            failure.__cause__ = error
        finally:
            servers.end(url)
        now = time.monotonic()
        until = now + (wanted if wanted is not None else _backoff(attempt))
        attempt += 1
        servers.rest(url, until)
        _, pause = servers.pick(now)
        if now + pause > deadline or (file is not None and start is None):
            raise failure


def parameters(options: Mapping[str, Option]) -> dict[str, str]:
    """Options in the API's words; areas are given as lists."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds of the header Retry-After (RFC 9110, section 10.2.3); Veil gives them as a number."""
    try:
        return max(float(response.headers["retry-after"]), 0.0)
    except (KeyError, ValueError):
        return None


def _backoff(attempt: int) -> float:
    """Doubling, with full jitter, so that many clients do not come back at once."""
    return random.uniform(0.05, min(0.25 * 2**attempt, LONGEST_PAUSE))  # noqa: S311 - not a secret
