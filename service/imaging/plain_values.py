"""What passes for a plain value in metadata: text that people read and a few numbers, never bytes that could be more.

Names of cameras and lenses, dates and titles fit; a picture in disguise does not.
"""

import re

from service.imaging.signatures import holds_picture

MAX_LABEL = 128
"""Longest name of a thing, in bytes; cameras pad theirs with zeros or blanks."""

MAX_TEXT = 2000
"""Longest sentence or paragraph, in bytes."""

MAX_PARTS = 2
"""A copyright note is that of the photographer, a zero byte, and that of the editor (Exif 3.0, tag 0x8298)."""

CODED = re.compile(r"[0-9A-Za-z+/=_-]{200}", re.ASCII)
"""No word is that long: this is base64 or the like."""

LAYOUT = str.maketrans("\t\r\n", "   ")
CHARSET_SIZE = 8
CHARSET = b"ASCII\0\0\0"


def plain_text(text: str, limit: int) -> bool:
    """Whether `text` is printable, at most `limit` bytes long in UTF-8, and no coded picture."""
    encoded = text.encode("utf-8", "replace")
    return (
        len(encoded) <= limit
        and text.translate(LAYOUT).isprintable()
        and CODED.search(text) is None
        and not holds_picture(encoded)
    )


def plain_string(value: bytes, limit: int) -> bool:
    """Whether the bytes of an EXIF string (zeros at its end) are plain text in UTF-8 or Windows-1252."""
    parts = value.rstrip(b"\0 ").split(b"\0")
    if len(value) > limit or len(parts) > MAX_PARTS:
        return False
    return all(plain_text(_decoded(part), limit * 2) for part in parts)


def plain_comment(value: bytes, limit: int) -> bool:
    """Whether the bytes of an EXIF text with its character code in front (Exif 3.0, table 10) are plain ASCII."""
    return value.startswith(CHARSET) and value.isascii() and plain_string(value[CHARSET_SIZE:], limit)


def _decoded(part: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            return part.decode(encoding)
        except UnicodeDecodeError:
            continue
    return "\0"  # not printable: refused
