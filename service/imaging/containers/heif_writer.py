"""HEIF files written item by item: a file type, one meta box, one box of content, and not a byte more."""

import struct
from dataclasses import dataclass

from service.imaging.containers.isobmff import box, full_box

ESSENTIAL = frozenset({b"hvcC", b"av1C"})
"""Properties without which an item cannot be decoded."""

HIDDEN = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One item: `properties` are whole boxes, `references` (kind, places of other parts from 1)."""

    kind: bytes
    content: bytes
    properties: tuple[bytes, ...] = ()
    references: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    content_type: bytes = b""
    hidden: bool = False


def write_heif(brand: bytes, parts: list[Part]) -> bytes:
    """A file of `parts`, of which the first is the picture that is shown."""
    head = box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")
    at = len(head) + len(_meta(parts, 0)) + 8
    return b"".join((head, _meta(parts, at), box(b"mdat", *(part.content for part in parts))))


def _meta(parts: list[Part], at: int) -> bytes:
    """The meta box of `parts`, whose contents follow each other from byte `at` of the file."""
    return full_box(
        b"meta",
        0,
        full_box(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", 0, struct.pack(">H", 1)),
        _locations(parts, at),
        full_box(b"iinf", 0, struct.pack(">H", len(parts)), *(_entry(n, part) for n, part in enumerate(parts, 1))),
        *_references(parts),
        _properties(parts),
    )


def _locations(parts: list[Part], at: int) -> bytes:
    entries: list[bytes] = []
    for number, part in enumerate(parts, 1):
        entries.append(struct.pack(">HHHII", number, 0, 1, at, len(part.content)))
        at += len(part.content)
    return full_box(b"iloc", 0, b"\x44\0", struct.pack(">H", len(parts)), *entries)


def _entry(number: int, part: Part) -> bytes:
    name = b"\0" + (part.content_type + b"\0" if part.content_type else b"")
    return full_box(b"infe", 2, struct.pack(">HH", number, 0), part.kind, name, flags=HIDDEN if part.hidden else 0)


def _references(parts: list[Part]) -> list[bytes]:
    boxes = [
        box(kind, struct.pack(f">HH{len(ends)}H", number, len(ends), *ends))
        for number, part in enumerate(parts, 1)
        for kind, ends in part.references
    ]
    return [full_box(b"iref", 0, *boxes)] if boxes else []


def _properties(parts: list[Part]) -> bytes:
    """Each property once, however many items have it."""
    number = {each: 0 for part in parts for each in part.properties}
    number = {each: at for at, each in enumerate(number, 1)}
    having = [(at, part) for at, part in enumerate(parts, 1) if part.properties]
    associations = [
        struct.pack(">HB", at, len(part.properties))
        + b"".join(struct.pack(">H", number[each] | (each[4:8] in ESSENTIAL) << 15) for each in part.properties)
        for at, part in having
    ]
    ipma = full_box(b"ipma", 0, struct.pack(">I", len(having)), *associations, flags=1)
    return box(b"iprp", box(b"ipco", *number), ipma)
