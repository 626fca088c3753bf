"""HEIF's items (ISO/IEC 23008-12, ISO/IEC 14496-12 §8.11): which there are, what belongs to which, and their bytes."""

from dataclasses import dataclass, field

from service.errors import CorruptImage
from service.imaging.containers.isobmff import Box, Reader, read_boxes

MAX_ITEMS = 10_000
MAX_EXTENTS = 20_000
IN_FILE, IN_META = 0, 1
IMAGES = frozenset({b"hvc1", b"hev1", b"av01", b"grid", b"iovl", b"iden", b"jpeg", b"avc1", b"j2k1", b"vvc1", b"unci"})
"""Item types that are pictures, coded or derived, whether they are read here or not."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item; `extents` are (offset, length) in the file."""

    id: int
    kind: bytes
    hidden: bool
    content: bytes
    extents: tuple[tuple[int, int], ...] = ()
    properties: tuple[tuple[int, bool], ...] = ()
    """(1-based number of a property, whether the item cannot be shown without it), in order."""

    @property
    def size(self) -> int:
        return sum(length for _, length in self.extents)


@dataclass(frozen=True, slots=True)
class Items:
    """Everything that the meta box says."""

    data: bytes = field(repr=False)
    primary: int
    by_id: dict[int, Item]
    properties: tuple[Box, ...]
    references: dict[tuple[bytes, int], tuple[int, ...]]
    """Item ids by (kind of reference, id that it comes from)."""

    groups: tuple[tuple[bytes, tuple[int, ...]], ...]
    """Entity groups: kind and ids."""

    def item(self, identity: int) -> Item:
        if identity not in self.by_id:
            raise CorruptImage(cause="an item that is not there")
        return self.by_id[identity]

    def content(self, item: Item) -> bytes:
        """The bytes of `item`. Raises CorruptImage if they are outside the file or more than the file."""
        if not item.extents or item.size > len(self.data):
            raise CorruptImage(cause="an item without content, or with more than the file has")
        for offset, length in item.extents:
            if offset + length > len(self.data):
                raise CorruptImage(cause="an item outside the file")
        return b"".join(self.data[offset : offset + length] for offset, length in item.extents)

    def property(self, item: Item, kind: bytes) -> bytes | None:
        """The payload of the first property of `item` of this kind."""
        for number, _ in item.properties:
            found = self.properties[number - 1]
            if found.kind == kind:
                return self.data[found.payload : found.end]
        return None

    def kinds(self, item: Item) -> list[tuple[Box, bool]]:
        """The property boxes of `item`, in order, and whether each is essential."""
        return [(self.properties[number - 1], essential) for number, essential in item.properties]

    def referring(self, kind: bytes, to: int) -> list[int]:
        """Ids of the items that refer to item `to`."""
        return [start for (each, start), ends in self.references.items() if each == kind and to in ends]


def read_items(data: bytes, meta: Box) -> Items:
    """The items of `meta`. Raises CorruptImage or struct.error."""
    boxes = {each.kind: each for each in reversed(read_boxes(data, meta.payload + 4, meta.end))}
    missing = {b"pitm", b"iinf", b"iloc", b"iprp"} - boxes.keys()
    if missing:
        raise CorruptImage(cause="a meta box without its parts")
    properties, associations = _read_properties(data, boxes[b"iprp"])
    extents = _read_locations(data, boxes[b"iloc"], boxes.get(b"idat"))
    by_id: dict[int, Item] = {}
    for each in _read_entries(data, boxes[b"iinf"]):
        own = associations.get(each.id, ())
        by_id.setdefault(each.id, Item(each.id, each.kind, each.hidden, each.content, extents.get(each.id, ()), own))
    version = data[boxes[b"pitm"].payload]
    primary = Reader(data, boxes[b"pitm"].payload + 4, boxes[b"pitm"].end).number(4 if version else 2)
    references = _read_references(data, boxes[b"iref"]) if b"iref" in boxes else {}
    groups = _read_groups(data, boxes[b"grpl"]) if b"grpl" in boxes else ()
    return Items(data, primary, by_id, properties, references, groups)


def _read_entries(data: bytes, iinf: Box) -> list[Item]:
    """Id, kind and what follows of each item info entry (§8.11.6)."""
    reader = Reader(data, iinf.payload, iinf.end)
    version = reader.number(4) >> 24
    reader.number(4 if version else 2)
    entries: list[Item] = []
    for each in read_boxes(data, reader.at, iinf.end):
        entry = Reader(data, each.payload, each.end)
        head = entry.number(4)
        version = head >> 24
        if each.kind != b"infe" or version not in (2, 3):
            raise CorruptImage(cause="an odd item info entry")
        identity = entry.number(4 if version == 3 else 2)  # noqa: PLR2004 - the version with 32-bit ids
        entry.number(2)
        kind = entry.take(4)
        entry.text()
        content = entry.text() if kind == b"mime" else b""
        entries.append(Item(identity, kind, bool(head & 1), content))
    return entries


def _read_locations(data: bytes, iloc: Box, idat: Box | None) -> dict[int, tuple[tuple[int, int], ...]]:
    """Extents by item id (§8.11.3); none for items whose content is made of other items or in other files."""
    reader = Reader(data, iloc.payload, iloc.end)
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    if version > 2 or {offset_size, length_size, base_size} - {0, 4, 8}:  # noqa: PLR2004 - what is defined
        raise CorruptImage(cause="odd item locations")
    wide = 4 if version == 2 else 2  # noqa: PLR2004
    found: dict[int, tuple[tuple[int, int], ...]] = {}
    extents = 0
    for _ in range(_bounded(reader.number(wide), MAX_ITEMS)):
        identity = reader.number(wide)
        method = reader.number(2) & 15 if version else IN_FILE
        elsewhere = reader.number(2)
        base = reader.number(base_size)
        places: list[tuple[int, int]] = []
        count = reader.number(2)
        extents = _bounded(extents + count, MAX_EXTENTS)
        for _ in range(count):
            reader.number(index_size if version else 0)
            offset, length = base + reader.number(offset_size), reader.number(length_size)
            if method == IN_META and idat:
                offset += idat.payload
                if offset + length > idat.end:
                    raise CorruptImage(cause="an item outside its box")
            places.append((offset, length if length_size else len(data) - offset))
        usable = not elsewhere and (method == IN_FILE or (method == IN_META and idat is not None))
        found.setdefault(identity, tuple(places) if usable else ())
    return found


def _read_properties(data: bytes, iprp: Box) -> tuple[tuple[Box, ...], dict[int, tuple[tuple[int, bool], ...]]]:
    """All property boxes, and which belong to which item (§8.11.14)."""
    boxes = read_boxes(data, iprp.payload, iprp.end)
    if not boxes or boxes[0].kind != b"ipco":
        raise CorruptImage(cause="no properties")
    properties = tuple(read_boxes(data, boxes[0].payload, boxes[0].end))
    found: dict[int, tuple[tuple[int, bool], ...]] = {}
    for each in boxes[1:]:
        reader = Reader(data, each.payload, each.end)
        head = reader.number(4)
        size, top = (2, 0x8000) if head & 1 else (1, 0x80)
        for _ in range(_bounded(reader.number(4), MAX_ITEMS)):
            identity = reader.number(4 if head >> 24 else 2)
            values = [reader.number(size) for _ in range(reader.number(1))]
            numbers = tuple((value & (top - 1), bool(value & top)) for value in values if value & (top - 1))
            if any(number > len(properties) for number, _ in numbers):
                raise CorruptImage(cause="a property that is not there")
            found.setdefault(identity, numbers)
    return properties, found


def _read_references(data: bytes, iref: Box) -> dict[tuple[bytes, int], tuple[int, ...]]:
    """§8.11.12."""
    wide = 4 if data[iref.payload] else 2
    found: dict[tuple[bytes, int], tuple[int, ...]] = {}
    for each in read_boxes(data, iref.payload + 4, iref.end):
        reader = Reader(data, each.payload, each.end)
        start = reader.number(wide)
        found.setdefault((each.kind, start), tuple(reader.number(wide) for _ in range(reader.number(2))))
    return found


def _read_groups(data: bytes, grpl: Box) -> tuple[tuple[bytes, tuple[int, ...]], ...]:
    """§8.18.3.3."""
    groups: list[tuple[bytes, tuple[int, ...]]] = []
    for each in read_boxes(data, grpl.payload, grpl.end):
        reader = Reader(data, each.payload + 8, each.end)
        count = _bounded(reader.number(4), MAX_ITEMS)
        groups.append((each.kind, tuple(reader.number(4) for _ in range(count))))
    return tuple(groups)


def _bounded(count: int, most: int) -> int:
    if count > most:
        raise CorruptImage(cause="more parts than a picture has")
    return count
