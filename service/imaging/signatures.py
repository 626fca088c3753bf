"""How the beginning of a picture or film gives itself away inside other bytes, raw or written as text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURES: tuple[tuple[str, bytes], ...] = (
    ("JPEG", rb"\xff\xd8\xff[\xc0-\xfe]"),
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("GIF", rb"GIF8[79]a"),
    ("WebP", rb"RIFF.{4}WEBP"),
    ("JPEG 2000", rb"\0\0\0\x0cjP  \r\n\x87\n"),
    ("JPEG 2000", rb"\xff\x4f\xff\x51\0"),
    ("JPEG XL", rb"\0\0\0\x0cJXL \r\n\x87\n"),
    ("film or HEIF", rb"\0\0.{2}ftyp[\x20-\x7e]{4}"),
    ("JPEG in base64", rb"/9j/[0-9A-Za-z+/]{2}"),
    ("PNG in base64", rb"iVBORw0KGgo"),
    ("GIF in base64", rb"R0lGOD[dl]h"),
    ("WebP in base64", rb"UklGR[0-9A-Za-z+/]{10}XRUJQ"),
    ("film or HEIF in base64", rb"AAAA[0-9A-Za-z+/]{2}Z0eX"),
    ("JPEG in hexadecimal", rb"ffd8ff[c-f][0-9a-f]"),
    ("JPEG in hexadecimal", rb"FFD8FF[C-F][0-9A-F]"),
    ("PNG in hexadecimal", rb"89504e470d0a1a0a"),
    ("PNG in hexadecimal", rb"89504E470D0A1A0A"),
)
"""Base64 at its first alignment, as it is where the text begins with the picture."""

PATTERNS = tuple((kind, re.compile(pattern, re.DOTALL)) for kind, pattern in SIGNATURES)
"""Each on its own: a pattern that begins with fixed bytes is found ten times as fast as an alternative of several."""


@dataclass(frozen=True, slots=True, order=True)
class Embedded:
    """The beginning of what looks like a picture, at byte `at`."""

    at: int
    kind: str


def find_pictures(data: bytes, start: int = 0, end: int | None = None) -> list[Embedded]:
    """Every signature in `data[start:end]`, in order. Compressed pixels have some by chance: look beside them only."""
    return sorted(_found(data, start, len(data) if end is None else end))


def holds_picture(data: bytes) -> bool:
    """Whether any signature is in `data`."""
    return next(_found(data, 0, len(data)), None) is not None


def _found(data: bytes, start: int, end: int) -> Iterator[Embedded]:
    for kind, pattern in PATTERNS:
        for match in pattern.finditer(data, start, end):
            if kind != "JPEG" or _second_segment(data, match.start(), end):
                yield Embedded(match.start(), kind)


def _second_segment(data: bytes, at: int, end: int) -> bool:
    """Whether the first segment of the JPEG that would begin at `at` is followed by another, or cut off.

    JPEG's signature is four bytes of 26 bits in all: large color tables have them by chance.
    """
    length = int.from_bytes(data[at + 4 : at + 6], "big")
    following = at + 4 + length
    return following >= end or (length >= 2 and data[following] == 0xFF)  # noqa: PLR2004 - it counts itself
