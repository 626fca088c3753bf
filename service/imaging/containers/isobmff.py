"""Boxes of the ISO base media file format (ISO/IEC 14496-12 §4.2), which HEIF, AVIF and JPEG 2000 files are made of."""

import struct
from dataclasses import dataclass

from service.errors import CorruptImage

MAX_BOXES = 10_000
"""Boxes of one level; a picture of honest making has some hundred at most (an entry per tile)."""

LONGEST_HEAD = 16
"""Size, kind, and the size again where it needs 64 bits."""


@dataclass(frozen=True, slots=True)
class Box:
    """One box of `data[start:end]`; what it holds is `data[payload:end]`."""

    kind: bytes
    start: int
    payload: int
    end: int


def read_boxes(data: bytes, start: int, end: int, *, trailer: bool = False) -> list[Box]:
    """All boxes of `data[start:end]`, which they must fill to the last byte, or with `trailer`, as far as they go.

    Raises CorruptImage or struct.error.
    """
    boxes: list[Box] = []
    at = start
    while at < end:
        if trailer and end - at < LONGEST_HEAD:
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        payload = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, payload)
            payload += 8
        stop = at + size if size else end
        if trailer and (stop < payload or stop > end):
            break
        if stop < payload or stop > end or len(boxes) >= MAX_BOXES:
            raise CorruptImage(cause=f"the boxes do not fit at byte {at}")
        boxes.append(Box(kind, at, payload, stop))
        at = stop
    return boxes


class Reader:
    """Reads big-endian integers one after the other out of `data[at:end]`. Raises CorruptImage past the end."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, end

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if not 0 <= size <= self.end - self.at:
            raise CorruptImage(cause=f"a box ends too early, at byte {self.end}")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        """The next `size` bytes as an unsigned integer; 0 for no bytes."""
        return int.from_bytes(self.take(size), "big")

    def text(self) -> bytes:
        """Everything up to the next zero byte, which is skipped."""
        stop = self.data.find(b"\0", self.at, self.end)
        if stop < 0:
            raise CorruptImage(cause="a text in a box has no end")
        return self.take(stop + 1 - self.at)[:-1]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.end - self.at)


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of `parts`."""
    size = 8 + sum(map(len, parts))
    return b"".join((struct.pack(">I4s", size, kind), *parts))


def full_box(kind: bytes, version: int, *parts: bytes, flags: int = 0) -> bytes:
    """A box with version and flags before its `parts`."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)
