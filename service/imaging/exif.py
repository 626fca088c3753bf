"""EXIF blocks: read with suspicion, and written anew, entry by entry, of what the whitelist keeps.

Values and types are copied byte for byte; directories are new, so that nothing comes along which no entry points at.
"""

import struct
from dataclasses import dataclass, field, replace

from service.imaging.containers.ifd import Directory, Fields, TiffReader, in_order, lay_out
from service.imaging.exif_tags import (
    EXIF_POINTER,
    GPS_POINTER,
    INTEROP_POINTER,
    LONG,
    ORIENTATION,
    SHORT,
    Group,
    Selection,
    plain,
)
from service.imaging.position import rounded
from service.imaging.signatures import holds_picture
from service.policy import MetadataMode

POINTERS = {Group.PHOTO: EXIF_POINTER, Group.GPS: GPS_POINTER, Group.INTEROP: INTEROP_POINTER}
HEADER_SIZE = 8
MAX_BLOCK = 65_000
"""Largest block in bytes: what one JPEG segment holds, with room to spare."""


@dataclass(frozen=True, slots=True)
class Exif:
    """The fields of each directory, in byte order `order` ("<" or ">")."""

    order: str = ">"
    groups: dict[Group, Fields] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(self.groups.values())

    def of(self, group: Group) -> Fields:
        return self.groups.get(group, {})

    def block(self) -> bytes:
        """The block as files have it, without the prefix that JPEG puts in front."""
        head = (b"II*\0" if self.order == "<" else b"MM\0*") + struct.pack(f"{self.order}I", HEADER_SIZE)
        return head + self.directories(HEADER_SIZE, {})

    def directories(self, at: int, others: Fields) -> bytes:
        """All directories, the first of them, which has the fields `others` too, at byte `at` of the file (even)."""
        image, photo = self.of(Group.IMAGE) | others, dict(self.of(Group.PHOTO))
        gps, interop = self.of(Group.GPS), self.of(Group.INTEROP)
        # First without knowing where they will point: a pointer is as long whatever it says.
        if interop:
            photo[INTEROP_POINTER] = self._pointer(0)
        if photo:
            image[EXIF_POINTER] = self._pointer(0)
        if gps:
            image[GPS_POINTER] = self._pointer(0)
        photo_at = at + self._size(image)
        gps_at = photo_at + self._size(photo)
        interop_at = gps_at + self._size(gps)
        if interop:
            photo[INTEROP_POINTER] = self._pointer(interop_at)
        if photo:
            image[EXIF_POINTER] = self._pointer(photo_at)
        if gps:
            image[GPS_POINTER] = self._pointer(gps_at)
        places = ((image, at), (photo, photo_at), (gps, gps_at), (interop, interop_at))
        return b"".join(lay_out(self.order, fields, where) for fields, where in places if fields)

    def _pointer(self, at: int) -> tuple[int, int, bytes]:
        return LONG, 1, struct.pack(f"{self.order}I", at)

    def _size(self, fields: Fields) -> int:
        return len(lay_out(self.order, fields, 0)) if fields else 0

    def in_order(self, wanted: str) -> "Exif":
        """The same in byte order `wanted`."""
        return Exif(wanted, {group: in_order(fields, self.order, wanted) for group, fields in self.groups.items()})


def oriented(orientation: int) -> Exif:
    """EXIF that says `orientation` and nothing else; nothing at all if that is 1."""
    return Exif(">", {Group.IMAGE: {ORIENTATION: orientation_field(">", orientation)}}) if orientation > 1 else Exif()


def select(block: bytes | None, selection: Selection, orientation: int) -> Exif:
    """What `selection` keeps of `block`, with `orientation` in place of the one in it.

    A block that is broken counts as none: what cannot be read cannot be judged. So does one that could be a picture.
    """
    try:
        found = _read(block, selection) if block else Exif()
    except (ValueError, struct.error):
        found = Exif()
    image = dict(found.of(Group.IMAGE))
    said = image.pop(ORIENTATION, None)
    if orientation > 1 or (said and selection.policy.mode is MetadataMode.KEEP):
        image[ORIENTATION] = orientation_field(found.order, orientation)
    gps = found.of(Group.GPS)
    if selection.policy.geo is not None:
        gps = rounded(gps, found.order, selection.policy.geo.meters)
    kept = _fitting(replace(found, groups={**found.groups, Group.IMAGE: image, Group.GPS: gps}))
    # Numbers may spell the beginning of a picture, which the check of the finished file would refuse.
    return oriented(orientation) if holds_picture(kept.block()) else kept


def orientation_field(order: str, value: int) -> tuple[int, int, bytes]:
    """The field of the orientation: one SHORT."""
    return SHORT, 1, struct.pack(f"{order}H", value)


def _read(block: bytes, selection: Selection) -> Exif:
    """The fields of all four directories that `selection` keeps. Raises ValueError or struct.error."""
    reader = TiffReader(block)
    image = reader.directory(reader.first_offset)
    directories = {Group.IMAGE: image}
    for group, parent in ((Group.PHOTO, Group.IMAGE), (Group.GPS, Group.IMAGE), (Group.INTEROP, Group.PHOTO)):
        pointed = _pointed(reader, directories.get(parent), POINTERS[group])
        if pointed is not None:
            directories[group] = pointed
    fields = {group: _fields(reader, directory, group, selection) for group, directory in directories.items()}
    return Exif(reader.order, {group: found for group, found in fields.items() if found})


def _pointed(reader: TiffReader, parent: Directory | None, tag: int) -> Directory | None:
    """The directory that field `tag` points at; None if there is none, or none that can be read."""
    entry = parent.entries.get(tag) if parent else None
    try:
        return reader.directory(reader.integers(entry)[0]) if entry else None
    except (ValueError, struct.error):
        return None


def _fields(reader: TiffReader, directory: Directory, group: Group, selection: Selection) -> Fields:
    fields: Fields = {}
    for tag, entry in directory.entries.items():
        if not selection.keeps(group, tag) or not 0 < entry.size <= MAX_BLOCK:
            continue
        try:
            value = reader.value(entry)
        except ValueError:
            continue
        if plain(group, tag, entry.type, entry.count, value):
            fields[tag] = (entry.type, entry.count, value)
    return fields


def _fitting(exif: Exif) -> Exif:
    """`exif` without its longest values as long as it is larger than a block may be."""
    while len(exif.block()) > MAX_BLOCK:
        sized = [(len(f[2]), group, tag) for group, fields in exif.groups.items() for tag, f in fields.items()]
        _, group, tag = max(sized)
        fields = {k: v for k, v in exif.of(group).items() if k != tag}
        exif = replace(exif, groups={**exif.groups, group: fields})
    return exif
