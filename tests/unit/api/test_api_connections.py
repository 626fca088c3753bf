"""What happens on the wire: a real server, real sockets, and clients that misbehave."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from service.admission import Admission
from service.api.services import UploadLimits
from tests.unit.api.rig import Rig, problem

Picture = Callable[..., bytes]
MIB = 1024 * 1024


class Server(uvicorn.Server):
    """uvicorn in the test's own event loop, without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@asynccontextmanager
async def serving(app: ASGIApp, http: str | type[asyncio.Protocol] = "httptools") -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=http, log_config=None, access_log=False, lifespan="off")  # type: ignore[arg-type]
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def raw(port: int, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    return reader, writer


def head(path: str = "/v1/anonymize", **headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: veil.test", "Content-Type: image/jpeg"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def answer(reader: asyncio.StreamReader) -> httpx.Response:
    """One response, read by its Content-Length."""
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    headers = dict(line.split(": ", 1) for line in lines if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


async def receipts_of(rig: Rig) -> list[tuple[object, object]]:
    return [(each["outcome"], each["problem"]) for each in await rig.receipts()]


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop run until `condition` holds; the test's own timeout ends it otherwise."""
    while not condition():
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_a_client_that_leaves_cancels_the_work(rig: Rig, picture: Picture, http: str) -> None:
    rig.face.gate.clear()
    async with serving(rig.app(), http) as port:
        data = picture()
        _, writer = await raw(port, head(Content_Length=str(len(data))) + data)
        await rig.face.entered.wait()
        assert rig.services.admission.working == 1
        writer.close()
        await rig.face.cancelled.wait()
        await until(lambda: rig.services.admission.places == 0)
    assert rig.services.admission.working == 0
    assert await receipts_of(rig) == [("failed", "client-disconnected")]


async def test_a_client_that_leaves_the_queue_gives_its_place_back(rig: Rig, picture: Picture) -> None:
    admission = Admission(workers=1, queue=4, wait_seconds=60)
    async with serving(rig.app(admission=admission)) as port, admission.worker():
        data = picture()
        _, writer = await raw(port, head(Content_Length=str(len(data))) + data)
        await until(lambda: admission.places == 1)
        writer.close()
        await until(lambda: admission.places == 0)
        assert not rig.face.entered.is_set()


async def test_a_client_that_stops_in_the_middle_of_its_upload_leaves_nothing_behind(rig: Rig) -> None:
    async with serving(rig.app()) as port:
        _, writer = await raw(port, head(Content_Length=str(MIB)) + b"x" * 1000)
        await until(lambda: rig.services.admission.places == 1)
        writer.close()
        await until(lambda: rig.services.admission.places == 0)
    assert await receipts_of(rig) == [("rejected", "upload-incomplete")]


async def test_an_upload_that_trickles_is_ended_in_time(rig: Rig) -> None:
    """A byte now and then does not extend the time: it is for the whole upload."""
    app = rig.app(uploads=UploadLimits(max_bytes=MIB, timeout=0.3))
    async with serving(app) as port:
        reader, writer = await raw(port, head(Content_Length=str(MIB)))

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        response = await answer(reader)
        problem(response, 408, "upload-incomplete")
        assert response.headers["connection"] == "close"
        with contextlib.suppress(ConnectionError):  # a client that never stops sending may be reset in the end
            await reader.read()
        trickling.cancel()
        writer.close()
    assert rig.services.admission.places == 0


async def test_a_declared_length_over_the_limit_is_refused_before_the_body_is_sent(rig: Rig) -> None:
    async with serving(rig.app(uploads=UploadLimits(max_bytes=1000, timeout=60))) as port:
        reader, writer = await raw(port, head(Content_Length="1001", Expect="100-continue"))
        problem(await answer(reader), 413, "upload-too-large")
        writer.close()
    assert await receipts_of(rig) == [("rejected", "upload-too-large")]


async def test_a_chunked_body_is_cut_at_the_limit(rig: Rig) -> None:
    async with serving(rig.app(uploads=UploadLimits(max_bytes=100_000, timeout=60))) as port:
        reader, writer = await raw(port, head(Transfer_Encoding="chunked"))
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        for _ in range(4):
            writer.write(chunk)
            await writer.drain()
        problem(await answer(reader), 413, "upload-too-large")
        writer.close()


@pytest.mark.parametrize(
    ("limits", "headers", "status"),
    [
        (UploadLimits(max_bytes=MIB, timeout=60), {}, 413),
        (UploadLimits(max_bytes=64 * MIB, timeout=60), {"api-key": "veil_wrong"}, 401),
        (UploadLimits(max_bytes=64 * MIB, timeout=60), {"accept": "text/html"}, 406),
    ],
)
async def test_an_early_answer_reaches_a_client_that_is_still_sending(
    rig: Rig, limits: UploadLimits, headers: dict[str, str], status: int
) -> None:
    """A plain client writes all of its body before it reads; a server that closes at once resets its connection."""
    body = b"x" * (16 * MIB)

    def post(port: int) -> int:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head(Content_Length=str(len(body)), **headers))
            client.sendall(body)
            return int(client.recv(65536).split()[1])

    async with serving(rig.app(uploads=limits)) as port:
        assert await asyncio.to_thread(post, port) == status


async def test_a_connection_is_used_again_after_a_whole_upload(rig: Rig, picture: Picture) -> None:
    async with serving(rig.app()) as port:
        data = picture()
        request = head("/v1/detect", Content_Length=str(len(data))) + data
        reader, writer = await raw(port, request + head("/v1/detect?x=1", Content_Length=str(len(data))) + data)
        first, second = await answer(reader), await answer(reader)
        assert first.status_code == 200
        assert second.status_code == 422
        writer.close()


async def test_a_crowd_gets_pictures_or_a_time_to_come_back(rig: Rig, picture: Picture) -> None:
    admission = Admission(workers=2, queue=4, wait_seconds=30)
    rig.face.gate.clear()
    async with (
        serving(rig.app(admission=admission)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):

        async def send() -> httpx.Response:
            return await client.post("/v1/anonymize", content=picture(), headers={"content-type": "image/jpeg"})

        crowd = [asyncio.create_task(send()) for _ in range(20)]
        refused = 0
        while refused < 14:
            done, _ = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
            refused = sum(task.done() for task in crowd)
            assert all(task.result().status_code == 429 for task in done)
        rig.face.gate.set()
        statuses = [(await task).status_code for task in crowd]
    assert (statuses.count(200), statuses.count(429)) == (6, 14)
    assert admission.places == admission.working == 0
    assert len(await rig.receipts()) == 20


async def test_uploads_never_touch_the_disk(tmp_path: Path) -> None:
    """Where no file may grow over 4 MiB a form with a picture of 20 MB is taken; Starlette's parser fails there."""
    script = Path(__file__).with_name("no_disk.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.decode().splitlines()[-1] == "EFBIG raw=200 form=200"
