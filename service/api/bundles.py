"""Several things in one answer: parts of a multipart/mixed body, or files of a ZIP archive."""

import io
import secrets
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Response

from service.api.negotiation import MIXED, ZIP


@dataclass(frozen=True, slots=True)
class Part:
    """`name`: of the file in an archive, and of the part where there is one picture too many to tell them apart."""

    media_type: str
    data: bytes
    name: str = ""


def mixed(parts: Sequence[Part], headers: dict[str, str]) -> Response:
    """A multipart/mixed answer (RFC 2046, section 5.1.3)."""
    boundary = secrets.token_hex(16)
    pieces: list[bytes] = []
    for part in parts:
        named = f'Content-Disposition: attachment; filename="{part.name}"\r\n' if part.name else ""
        length = f"Content-Length: {len(part.data)}"
        head = f"--{boundary}\r\nContent-Type: {part.media_type}\r\n{named}{length}\r\n\r\n"
        pieces += [head.encode(), part.data, b"\r\n"]
    body = b"".join((*pieces, f"--{boundary}--\r\n".encode()))
    return Response(body, media_type=f"{MIXED}; boundary={boundary}", headers=headers)


def archive(parts: Sequence[Part], headers: dict[str, str]) -> Response:
    """A ZIP archive of `parts`, stored as they are: pictures are compressed already."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        for part in parts:
            packed.writestr(zipfile.ZipInfo(part.name), part.data)  # without a date: none that the picture has
    return Response(file.getvalue(), media_type=ZIP, headers=headers)
