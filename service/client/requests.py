"""The service's requests as `Ask`s, and the bodies that go with them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service.client.exchange import Ask, Option, Picture, parameters

CHUNK = 256 * 1024


def anonymize(picture: Picture, options: Mapping[str, Option]) -> Ask:
    return Ask("POST", "/v1/anonymize", parameters(options), "multipart/mixed", picture)


def detect(picture: Picture, options: Mapping[str, Option]) -> Ask:
    return Ask("POST", "/v1/detect", parameters(options), picture=picture)


def receipt(id: str) -> Ask:
    return Ask("GET", f"/v1/receipts/{id}")


def receipts(filters: Mapping[str, Option]) -> Ask:
    return Ask("GET", "/v1/receipts", parameters(filters))


def models() -> Ask:
    return Ask("GET", "/v1/models")


def authorization(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


@contextmanager
def opened(picture: Picture | None) -> Iterator[bytes | BinaryIO | None]:
    """A body: bytes as they are, or a file that is read while it is sent."""
    if isinstance(picture, Path):
        with picture.open("rb") as file:
            yield file
    else:
        yield picture


def headers(ask: Ask, body: bytes | BinaryIO | None) -> dict[str, str]:
    """The request's own headers; a body whose length is known is not sent in chunks."""
    given = {"Accept": ask.accept}
    if body is not None:
        given["Content-Type"] = "application/octet-stream"
        if not isinstance(body, bytes) and body.seekable():
            here = body.tell()
            given["Content-Length"] = str(body.seek(0, os.SEEK_END) - here)
            body.seek(here)
    return given


def chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
