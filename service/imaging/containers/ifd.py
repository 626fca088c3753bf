"""TIFF's directory structure (TIFF 6.0 §2, BigTIFF), which TIFF files and EXIF blocks share."""

import struct
from dataclasses import dataclass

MAX_ENTRIES = 4096
INLINE_SIZE, BIG_INLINE_SIZE = 4, 8
"""Bytes of values that an entry holds itself, in TIFF and in BigTIFF."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
"""Bytes per value of each field type; 129 is UTF-8 text (Exif 3.0 §4.6.2)."""

WIDTHS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of the numbers that values consist of (a rational of two), where byte order matters."""

INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""struct codes of the unsigned integer types."""


Fields = dict[int, tuple[int, int, bytes]]
"""(type, count, the bytes of all values) by tag, in one byte order."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One field: `raw` is the entry itself, `at` and `size` say where its values are in the file, in bytes."""

    tag: int
    type: int
    count: int
    at: int
    size: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Directory:
    """Entries by tag (the first one wins), and the offset of the next directory, 0 if there is none."""

    entries: dict[int, Entry]
    next_offset: int
    at: int
    size: int


class TiffReader:
    """Reads directories out of `data`; every offset is checked. Raises ValueError or struct.error."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
        (version,) = struct.unpack_from(f"{self.order}H", data, 2)
        if not self.order or version not in (42, 43):
            raise ValueError("no TIFF header")
        self.big = version == 43  # noqa: PLR2004 - BigTIFF
        self.first_offset = self.unpack("Q" if self.big else "I", 8 if self.big else 4)

    def unpack(self, code: str, at: int) -> int:
        """One integer of struct type `code` at byte `at`."""
        (value,) = struct.unpack_from(self.order + code, self.data, at)
        return int(value)

    def directory(self, offset: int) -> Directory:
        """The directory at `offset`. Values are not read, so a broken one harms nobody who does not ask for it."""
        count_code, count_size, entry_size, offset_code = ("Q", 8, 20, "Q") if self.big else ("H", 2, 12, "I")
        count = self.unpack(count_code, offset)
        if not 0 < count <= MAX_ENTRIES:
            raise ValueError("implausible directory")
        entries: dict[int, Entry] = {}
        start = offset + count_size
        for at in range(start, start + count * entry_size, entry_size):
            entry = self._entry(at, entry_size, offset_code)
            entries.setdefault(entry.tag, entry)
        end = start + count * entry_size
        # A directory at the very end of an EXIF block may lack its last field, the offset of the next one.
        missing = end + (8 if self.big else 4) > len(self.data)
        following = 0 if missing else self.unpack(offset_code, end)
        return Directory(entries, following, offset, end + (8 if self.big else 4) - offset)

    def _entry(self, at: int, entry_size: int, offset_code: str) -> Entry:
        tag, kind = self.unpack("H", at), self.unpack("H", at + 2)
        count = self.unpack(offset_code, at + 4)
        size = SIZES.get(kind, 0) * count
        room = BIG_INLINE_SIZE if self.big else INLINE_SIZE
        inline = at + entry_size - room
        where = inline if size <= room else self.unpack(offset_code, inline)
        return Entry(tag, kind, count, where, size, self.data[at : at + entry_size])

    def value(self, entry: Entry) -> bytes:
        """The bytes of all values of `entry`."""
        if entry.size == 0 or entry.at + entry.size > len(self.data):
            raise ValueError("a field's values are outside the file")
        return self.data[entry.at : entry.at + entry.size]

    def integers(self, entry: Entry) -> tuple[int, ...]:
        """The values of an entry of an unsigned integer type."""
        code = INTEGERS.get(entry.type)
        if code is None:
            raise ValueError("a field is not of an integer type")
        return struct.unpack(f"{self.order}{entry.count}{code}", self.value(entry))


def lay_out(order: str, fields: Fields, at: int) -> bytes:
    """A directory of classic TIFF that begins at byte `at` (even), its values behind it; no directory follows it."""
    values_at = at + 2 + 12 * len(fields) + 4
    entries, values = [struct.pack(f"{order}H", len(fields))], b""
    for tag, (kind, count, value) in sorted(fields.items()):
        inline = len(value) <= INLINE_SIZE
        place = value.ljust(INLINE_SIZE, b"\0") if inline else struct.pack(f"{order}I", values_at + len(values))
        entries.append(struct.pack(f"{order}HHI", tag, kind, count) + place)
        if not inline:
            values += value + b"\0" * (len(value) & 1)
    return b"".join((*entries, bytes(4), values))


def in_order(fields: Fields, order: str, wanted: str) -> Fields:
    """`fields` with their values in byte order `wanted` ("<" or ">")."""
    if order == wanted:
        return fields
    return {tag: (kind, count, _swapped(kind, value)) for tag, (kind, count, value) in fields.items()}


def _swapped(kind: int, value: bytes) -> bytes:
    width = WIDTHS.get(kind, 1)
    return b"".join(value[i : i + width][::-1] for i in range(0, len(value), width))
