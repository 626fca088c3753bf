"""The directories of an EXIF block or a TIFF file, entry by entry."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from service.imaging.anatomy.parts import Beginnings, Fate, Part, deeper, embedded_in, gaps
from service.imaging.anatomy.xmp_parts import dissect_xmp
from service.imaging.containers.ifd import Directory, Entry, TiffReader
from service.imaging.exif import POINTERS
from service.imaging.exif_tags import NEVER, TAGS, Group, plain

SUB_DIRECTORIES = 0x014A
THUMBNAIL, THUMBNAIL_SIZE = 0x0201, 0x0202
XMP, ICC = 700, 34675
DATA = {273: 279, 324: 325, THUMBNAIL: THUMBNAIL_SIZE}
"""Tags that say where coded pixels are, with those that say how many bytes."""

HEADER_SIZE, BIG_HEADER_SIZE = 8, 16
MAX_DIRECTORIES = 64
PLACES = {pointer: group for group, pointer in POINTERS.items()}


@dataclass(slots=True)
class _Walk:
    """One walk over all directories; `own` says which tags of the first are the container's, `claimed` is accounted."""

    reader: TiffReader
    own: Callable[[int], bool]
    claimed: list[tuple[int, int]]
    parts: list[Part] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    beginnings: Beginnings = field(init=False)

    def __post_init__(self) -> None:
        self.beginnings = Beginnings(self.reader.data)

    def directory(self, name: str, group: Group | None, at: int, depth: int) -> int:
        """Adds the directory at `at` and all below it; returns where the next one is. `group` None: none of EXIF's."""
        if at in self.seen or len(self.seen) >= MAX_DIRECTORIES:
            self.parts.append(Part(at, 0, name, Fate.NEVER, "a directory that was there before", depth))
            return 0
        self.seen.add(at)
        try:
            directory = self.reader.directory(at)
        except (ValueError, struct.error):
            self.parts.append(Part(at, 0, name, Fate.NEVER, "a directory that cannot be read", depth))
            return 0
        self.claimed.append((at, directory.size))
        fate = Fate.PICTURE if group else Fate.NEVER
        self.parts.append(Part(at, directory.size, name, fate, f"{len(directory.entries)} entries", depth))
        for tag, entry in directory.entries.items():
            self._entry(group, tag, entry, depth + 1)
        self._pixels(name, directory, depth + 1)
        return directory.next_offset

    def _entry(self, group: Group | None, tag: int, entry: Entry, depth: int) -> None:
        data = self.reader.data
        if entry.at + entry.size <= len(data):
            self.claimed.append((entry.at, entry.size))
        name, below = _name(group, tag), PLACES.get(tag)
        if group and below and self._points(entry):
            self.directory(below, below, self.reader.integers(entry)[0], depth)
            return
        fate, inside = self._fate(group, tag, entry), self._inside(group, tag, entry)
        unread = fate is not Fate.PICTURE and not inside
        found = self.beginnings.within(entry.at, entry.at + entry.size) if unread else ()
        self.parts.append(Part(entry.at, entry.size, name, fate, "", depth, found))
        self.parts += deeper(inside, depth + 1)
        if tag == SUB_DIRECTORIES and self._points(entry):
            for number, at in enumerate(self.reader.integers(entry)):
                self.directory(f"SubIFD {number}", None, at, depth + 1)

    def _points(self, entry: Entry) -> bool:
        try:
            return len(self.reader.integers(entry)) > 0
        except (ValueError, struct.error):
            return False

    def _fate(self, group: Group | None, tag: int, entry: Entry) -> Fate:
        if group is Group.IMAGE and self.own(tag):
            return Fate.STRIP if tag in (XMP, ICC) else Fate.PICTURE
        known = TAGS.get((group, tag)) if group else None
        if group is None or known is None:
            return Fate.NEVER
        try:
            fits = plain(group, tag, entry.type, entry.count, self.reader.value(entry))
        except ValueError:
            fits = False
        return Fate.of(known.level) if fits else Fate.NEVER

    def _inside(self, group: Group | None, tag: int, entry: Entry) -> list[Part]:
        if group is Group.IMAGE and tag == XMP and self.own(tag) and entry.at + entry.size <= len(self.reader.data):
            return dissect_xmp(self.reader.data, entry.at, entry.at + entry.size)
        return []

    def _pixels(self, name: str, directory: Directory, depth: int) -> None:
        """Claims the coded pixels that `directory` points at."""
        for where, how_long in DATA.items():
            if where not in directory.entries or how_long not in directory.entries:
                continue
            try:
                places = self.reader.integers(directory.entries[where])
                sizes = self.reader.integers(directory.entries[how_long])
            except (ValueError, struct.error):
                continue
            blocks = list(zip(places, sizes, strict=False))
            self.claimed += blocks
            own = name == Group.IMAGE and where != THUMBNAIL and self.own(where)
            fate = Fate.PICTURE if own else Fate.NEVER
            what = f"{len(blocks)} pieces" if len(blocks) > 1 else ""
            kind = "pixels" if own else "pixels of another picture"
            found = () if own else tuple(k for at, size in blocks[:1] for k in self.beginnings.within(at, at + size))
            self.parts.append(Part(min(places), sum(sizes), kind, fate, what, depth, found))


def dissect_directories(data: bytes, own: Callable[[int], bool] = lambda _: False) -> list[Part]:
    """Every directory, entry and stray byte of `data`, an EXIF block or a TIFF file whose own tags are `own`."""
    try:
        reader = TiffReader(data)
    except (ValueError, struct.error):
        return [Part(0, len(data), "EXIF that cannot be read", Fate.NEVER, embedded=embedded_in(data, 0, len(data)))]
    walk = _Walk(reader, own, [(0, BIG_HEADER_SIZE if reader.big else HEADER_SIZE)])
    following = walk.directory(Group.IMAGE, Group.IMAGE, reader.first_offset, 0)
    number = 1
    while following:
        following = walk.directory(f"IFD{number}", None, following, 0)
        number += 1
    return walk.parts + gaps(data, walk.claimed, 0, len(data))


def _name(group: Group | None, tag: int) -> str:
    known = TAGS.get((group or Group.IMAGE, tag))
    return f"{tag:04X} {known.name if known else NEVER.get(tag, 'unknown tag')}"
