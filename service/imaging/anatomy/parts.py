"""The parts of a file, with what Veil would do with each."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from service.imaging.exif_tags import Level
from service.imaging.signatures import Embedded, find_pictures

BESIDE = "bytes that belong to nothing"


class Fate(StrEnum):
    """The least metadata mode that has such a part in a finished picture."""

    PICTURE = "picture"
    """Pixels, and what the container needs."""

    STRIP = "strip"
    GEO = "geo"
    KEEP = "keep"
    OWNER = "keep, owner"
    NEVER = "never"

    @classmethod
    def of(cls, level: Level) -> "Fate":
        return cls[level.name]


@dataclass(frozen=True, slots=True)
class Part:
    """`data[at:at + size]` and what it is; parts of greater `depth` are inside the one before them.

    `size` 0: somewhere inside, not by itself in plain bytes. `embedded`: kinds of pictures that seem to begin in it.
    """

    at: int
    size: int
    name: str
    fate: Fate
    what: str = ""
    depth: int = 0
    embedded: tuple[str, ...] = ()

    @property
    def suspicious(self) -> bool:
        """Whether Veil would never write it."""
        return self.fate is Fate.NEVER or bool(self.embedded)


def deeper(parts: Iterable[Part], by: int = 1, offset: int = 0) -> list[Part]:
    """`parts` as the inside of another part, whose own bytes begin at `offset`."""
    return [replace(each, depth=each.depth + by, at=each.at + offset) for each in parts]


def embedded_in(data: bytes, start: int, end: int) -> tuple[str, ...]:
    """The kinds of pictures that seem to begin in `data[start:end]`."""
    return tuple(dict.fromkeys(each.kind for each in find_pictures(data, start, end)))


class Beginnings:
    """Where pictures seem to begin in `data`: searched once, for files whose entries all point at the same bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @cached_property
    def _found(self) -> list[Embedded]:
        return find_pictures(self._data)

    def within(self, start: int, end: int) -> tuple[str, ...]:
        """As `embedded_in`, but a beginning that `end` cuts off counts as well."""
        first, last = (bisect_left(self._found, place, key=lambda each: each.at) for place in (start, end))
        return tuple(dict.fromkeys(each.kind for each in self._found[first:last]))


def remainder(data: bytes, start: int, end: int, name: str = BESIDE, what: str = "") -> list[Part]:
    """One part for `data[start:end]` that nothing accounts for; none if it is empty."""
    if start >= end:
        return []
    return [Part(start, end - start, name, Fate.NEVER, what, embedded=embedded_in(data, start, end))]


def gaps(data: bytes, claimed: Iterable[tuple[int, int]], start: int, end: int) -> list[Part]:
    """What of `data[start:end]` is in none of the (offset, length) blocks, but for a zero byte that evens an offset."""
    found: list[Part] = []
    at = start
    for offset, length in (*sorted(claimed), (end, 0)):
        stop = min(offset, end)
        padding = stop - at == 1 and data[at] == 0 and (at - start) & 1
        if not padding:
            found += remainder(data, at, stop)
        at = max(at, min(offset + length, end))
    return found
