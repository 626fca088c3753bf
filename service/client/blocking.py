"""The synchronous client."""

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from service.client import answers, requests
from service.client.answers import Anonymized, Found, Receipt
from service.client.exchange import Ask, Option, Picture, Send, exchange
from service.client.servers import Servers

T = TypeVar("T")


class Client:
    """Talks to one Veil service, or to several that share the work; safe to use from several threads.

    `key`: an API key, where the service needs one. `patience`: seconds for which a request is tried again while the
    service is busy or away, at the times that it names in Retry-After. `timeout`: seconds without a byte, either way.
    `verify`: as in httpx, e.g. an `ssl.SSLContext` that knows the service's certificate.

    Every method raises Problem (the service's error), Unreachable or AnswerBroken.
    """

    def __init__(
        self, *urls: str, key: str | None = None, patience: float = 60.0, timeout: float = 120.0, verify: Any = True
    ) -> None:
        self._servers = Servers(urls)
        self._patience = patience
        self._http = httpx.Client(headers=requests.authorization(key), timeout=timeout, verify=verify)
        self._lock = threading.Lock()

    def anonymize(self, picture: Picture, options: dict[str, Option] | None = None) -> Anonymized:
        """The picture with everything hidden that `options` name, in the API's words: {"obscure.face": "fill"}."""
        return self._run(requests.anonymize(picture, options or {}), answers.anonymized)

    def detect(self, picture: Picture, options: dict[str, Option] | None = None) -> Found:
        """What `anonymize` would hide."""
        return self._run(requests.detect(picture, options or {}), answers.found)

    def receipt(self, id: str) -> Receipt:
        """The record of one request."""
        return self._run(requests.receipt(id), answers.receipt)

    def receipts(self, **filters: Option) -> Iterator[Receipt]:
        """Receipts that fit all of `since`, `until`, `caller`, `source_ref` and `outcome`, the newest first."""
        cursor: str | None = None
        while True:
            page, cursor = self._run(requests.receipts(filters | ({"cursor": cursor} if cursor else {})), answers.page)
            yield from page
            if cursor is None:
                return

    def models(self) -> list[dict[str, Any]]:
        """The detectors with version, checksum and thresholds."""
        return self._run(requests.models(), answers.models)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _run(self, ask: Ask, read: Callable[[httpx.Response], T]) -> T:
        steps = exchange(ask, self._servers, self._patience, read)
        answer: httpx.Response | httpx.TransportError | None = None
        while True:
            try:
                with self._lock:  # for the choice of a server, not while a request is under way
                    step = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Send):
                try:
                    answer = self._send(step)
                except httpx.TransportError as error:
                    answer = error
            else:
                time.sleep(step.seconds)
                answer = None

    def _send(self, step: Send) -> httpx.Response:
        ask = step.ask
        with requests.opened(ask.picture) as body:
            return self._http.request(
                ask.method,
                step.url + ask.path,
                params=ask.params,
                headers=requests.headers(ask, body),
                content=body if body is None or isinstance(body, bytes) else requests.chunks(body),
            )
