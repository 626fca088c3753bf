"""Clients that take their time: heads that trickle, heads without end, crowds that only connect, unread answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.responses import Response
from starlette.types import ASGIApp

from service.api import connections, uploads
from service.api.connections import BoundedProtocol, ConnectionLimits, bounded
from service.api.services import UploadLimits
from tests.unit.api.rig import Rig, problem
from tests.unit.api.test_api_connections import MIB, Picture, answer, head, raw, serving, until

LIMITS = ConnectionLimits(most=100, head_seconds=0.3, head_bytes=4096, least_rate=0)
GET = b"GET /livez HTTP/1.1\r\nHost: veil.test\r\n"


class Bounded:
    """A server with limits, what it said about connections it ended, and its switch for draining."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.ended: list[str] = []
        self.draining = asyncio.Event()
        self.protocol = bounded(limits, self.draining, self.ended.append)
        self.port = 0

    @property
    def waiting(self) -> dict[BoundedProtocol, None]:
        return self.protocol.shared.waiting

    async def connect(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await raw(self.port, data)

    async def ask(self) -> httpx.Response:
        reader, writer = await self.connect(GET + b"\r\n")
        try:
            return await answer(reader)
        finally:
            writer.close()


@asynccontextmanager
async def bounded_server(app: ASGIApp, limits: ConnectionLimits = LIMITS) -> AsyncIterator[Bounded]:
    server = Bounded(limits)
    async with serving(app, server.protocol) as port:
        server.port = port
        yield server


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server has closed the connection, after whatever it still said; waits for it."""
    with contextlib.suppress(ConnectionResetError):
        await reader.read()
    return reader.at_eof() or reader.exception() is not None


async def test_a_head_that_trickles_is_ended_in_time(rig: Rig) -> None:
    async with bounded_server(rig.app()) as server:
        reader, writer = await server.connect(GET)

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"X: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        started = asyncio.get_running_loop().time()
        problem(await answer(reader), 408, "head-incomplete")
        assert asyncio.get_running_loop().time() - started < 2
        trickling.cancel()
        writer.close()
    assert server.ended == ["head-incomplete"]


@pytest.mark.parametrize("first", [b"", GET + b"\r\n", b"\r\n"])
async def test_a_connection_that_says_nothing_is_closed_in_time(rig: Rig, first: bytes) -> None:
    """Also after an answer and a blank line, which HTTP lets pass between requests."""
    async with bounded_server(rig.app()) as server:
        reader, writer = await server.connect(first)
        if first == GET + b"\r\n":
            await answer(reader)
            writer.write(b"\r\n")
        assert await closed(reader)
        writer.close()
        await until(lambda: not server.waiting)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
async def test_a_head_without_end_is_refused(rig: Rig, end: bytes) -> None:
    async with bounded_server(rig.app()) as server:
        reader, writer = await server.connect(GET + b"X: " + b"y" * 100_000 + end)
        problem(await answer(reader), 431, "head-too-large")
        writer.close()
    assert server.ended == ["head-too-large"]


async def test_what_is_not_http_is_a_problem_document_too(rig: Rig) -> None:
    async with bounded_server(rig.app()) as server:
        reader, writer = await server.connect(b"\x16\x03\x01 hello\r\n\r\n")
        problem(await answer(reader), 400, "malformed-request")
        writer.close()


async def test_a_crowd_that_only_connects_keeps_nobody_out(rig: Rig) -> None:
    limits = ConnectionLimits(most=8, head_seconds=30, head_bytes=4096, least_rate=0)
    async with bounded_server(rig.app(), limits) as server:
        crowd = [await server.connect(GET) for _ in range(50)]
        assert (await server.ask()).status_code == 200
        assert await closed(crowd[0][0])
        assert len(server.waiting) <= 8
        assert server.ended.count("too-many-connections") >= 42
        for _, writer in crowd:
            writer.close()


async def test_a_request_under_way_is_never_ended_for_a_new_connection(rig: Rig, picture: Picture) -> None:
    limits = ConnectionLimits(most=1, head_seconds=30, head_bytes=4096, least_rate=0)
    rig.face.gate.clear()
    async with bounded_server(rig.app(), limits) as server:
        data = picture()
        reader, writer = await server.connect(head(Content_Length=str(len(data))) + data)
        await rig.face.entered.wait()
        refused = await server.ask()
        problem(refused, 503, "too-many-connections")
        assert int(refused.headers["retry-after"]) >= 1
        rig.face.gate.set()
        assert (await answer(reader)).status_code == 200
        writer.close()


async def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its megabytes would stay in memory for as long as the connection does."""
    monkeypatch.setattr(connections, "PACE_SECONDS", 0.2)
    limits = ConnectionLimits(most=8, head_seconds=5, head_bytes=4096, least_rate=1000)
    async with bounded_server(Response(bytes(32 * MIB)), limits) as server:
        _, writer = await server.connect(GET + b"\r\n")
        await until(lambda: server.ended == ["answer-not-read"])
        writer.close()


async def test_a_slow_but_steady_reader_gets_all_of_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PACE_SECONDS", 0.2)
    limits = ConnectionLimits(most=8, head_seconds=5, head_bytes=4096, least_rate=1000)
    async with bounded_server(Response(bytes(8 * MIB)), limits) as server:
        reader, writer = await server.connect(GET + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        got = 0
        while got < 8 * MIB:
            read = await reader.read(512 * 1024)
            assert read, server.ended
            got += len(read)
            await asyncio.sleep(0.05)
        writer.close()
    assert server.ended == []


async def test_an_upload_slower_than_the_least_rate_gives_its_place_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PACE_SECONDS", 0.3)
    app = rig.app(uploads=UploadLimits(max_bytes=MIB, timeout=60, least_rate=10_000))
    async with bounded_server(app) as server:
        reader, writer = await server.connect(head(Content_Length=str(MIB)) + b"x" * 1000)
        problem(await answer(reader), 408, "upload-incomplete")
        writer.close()
        await until(lambda: rig.services.admission.places == 0)


async def test_while_draining_each_answer_is_the_last_of_its_connection(rig: Rig) -> None:
    async with bounded_server(rig.app()) as server:
        reader, writer = await server.connect(GET + b"\r\n")
        assert "connection" not in (await answer(reader)).headers
        server.draining.set()
        writer.write(GET + b"\r\n")
        assert (await answer(reader)).headers["connection"] == "close"
        assert await closed(reader)
        writer.close()
