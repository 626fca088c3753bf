"""Run as a process of its own: takes large uploads where no file can grow over 4 MiB, and says what happened."""

import asyncio
import errno
import io
import resource
import signal
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from starlette.requests import Request

from tests.unit.api.rig import build_rig

LIMIT = 4 * 1024 * 1024
opened: list[str] = []


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Notes every file that Python code opens for writing."""
    if event.startswith("tempfile."):
        opened.append(event)
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & 3 and not str(path).startswith("/dev/"):
            opened.append(str(path))


async def main(folder: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (2600, 2600, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG", compress_level=0)
    picture = out.getvalue()
    assert len(picture) > 20_000_000
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    form = head + picture + b"\r\n--b--\r\n"
    form_type = "multipart/form-data; boundary=b"

    async with build_rig(folder) as rig:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
        found = [await starlette_itself(form, form_type)]
        sys.addaudithook(watch)
        async with rig.client() as client:
            for name, body, media in (("raw", picture, "image/png"), ("form", form, form_type)):
                response = await client.post("/v1/anonymize", content=body, headers={"content-type": media}, timeout=60)
                found.append(f"{name}={response.status_code}")
        print(" ".join([*found, *opened]))  # noqa: T201


async def starlette_itself(form: bytes, media: str) -> str:
    """The control: the framework's own parser must fail here, or the limit proves nothing."""
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", media.encode())]}
    sent = False

    async def receive() -> dict[str, object]:
        nonlocal sent
        assert not sent
        sent = True
        return {"type": "http.request", "body": form, "more_body": False}

    try:
        await Request(scope, receive).form()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "parsed"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
