"""The asynchronous client."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from service.client import answers, requests
from service.client.answers import Anonymized, Found, Receipt
from service.client.exchange import Ask, Option, Picture, Send, exchange
from service.client.servers import Servers

T = TypeVar("T")


class AsyncClient:
    """As `Client`, for asyncio. `connections`: most that are open at a time."""

    def __init__(
        self,
        *urls: str,
        key: str | None = None,
        patience: float = 60.0,
        timeout: float = 120.0,
        verify: Any = True,
        connections: int = 100,
    ) -> None:
        self._servers = Servers(urls)
        self._patience = patience
        self._http = httpx.AsyncClient(
            headers=requests.authorization(key),
            timeout=httpx.Timeout(timeout, pool=None),
            verify=verify,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def anonymize(self, picture: Picture, options: dict[str, Option] | None = None) -> Anonymized:
        """The picture with everything hidden that `options` name, in the API's words: {"obscure.face": "fill"}."""
        return await self._run(requests.anonymize(picture, options or {}), answers.anonymized)

    async def detect(self, picture: Picture, options: dict[str, Option] | None = None) -> Found:
        """What `anonymize` would hide."""
        return await self._run(requests.detect(picture, options or {}), answers.found)

    async def receipt(self, id: str) -> Receipt:
        """The record of one request."""
        return await self._run(requests.receipt(id), answers.receipt)

    async def receipts(self, **filters: Option) -> AsyncIterator[Receipt]:
        """Receipts that fit all of `since`, `until`, `caller`, `source_ref` and `outcome`, the newest first."""
        cursor: str | None = None
        while True:
            ask = requests.receipts(filters | ({"cursor": cursor} if cursor else {}))
            page, cursor = await self._run(ask, answers.page)
            for each in page:
                yield each
            if cursor is None:
                return

    async def models(self) -> list[dict[str, Any]]:
        """The detectors with version, checksum and thresholds."""
        return await self._run(requests.models(), answers.models)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, ask: Ask, read: Callable[[httpx.Response], T]) -> T:
        steps = exchange(ask, self._servers, self._patience, read)
        answer: httpx.Response | httpx.TransportError | None = None
        try:
            while True:
                try:
                    step = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
                except StopIteration as done:
                    result: T = done.value
                    return result
                if isinstance(step, Send):
                    try:
                        answer = await self._send(step)
                    except httpx.TransportError as error:
                        answer = error
                else:
                    await asyncio.sleep(step.seconds)
                    answer = None
        finally:
            steps.close()  # a cancelled request is no longer under way

    async def _send(self, step: Send) -> httpx.Response:
        ask = step.ask
        with requests.opened(ask.picture) as body:
            return await self._http.request(
                ask.method,
                step.url + ask.path,
                params=ask.params,
                headers=requests.headers(ask, body),
                content=body if body is None or isinstance(body, bytes) else _chunks(requests.chunks(body)),
            )


async def _chunks(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read on another thread: a file may lie on a slow disk or in a network."""
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
