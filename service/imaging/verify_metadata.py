"""The part of the last look that concerns metadata: every directory, entry and byte of it is one that may be there.

It reads what was written, by the whitelists alone, and does not ask the code that wrote it.
"""

from service.errors import OutputRefused
from service.imaging.containers.ifd import INLINE_SIZE, Directory, Fields, TiffReader
from service.imaging.exif import POINTERS
from service.imaging.exif_tags import Group, Selection, plain
from service.imaging.position import rounded
from service.imaging.signatures import holds_picture
from service.imaging.xmp import rebuild
from service.imaging.xmp_properties import keeps
from service.policy import MetadataPolicy

Block = tuple[int, int]
"""Offset and length of bytes that something accounts for."""

ENTRY_SIZE, FRAME_SIZE = 12, 6
"""Of a directory of classic TIFF: one entry, and the count and the offset around all of them."""

HEADER: Block = (0, 8)


def require(condition: bool, otherwise: str) -> None:
    """Raises OutputRefused, with the cause `otherwise`, unless `condition` holds."""
    if not condition:
        raise OutputRefused(cause=otherwise)


def check_xmp(packet: bytes, keep: MetadataPolicy) -> None:
    """Returns if `packet` is nothing but properties that `keep` allows, in the one form in which they are written."""
    require(rebuild(packet, lambda known: keeps(known, keep)) == packet, "the XMP packet holds something else")
    require(not holds_picture(packet), "a picture in the XMP packet")


def check_exif(block: bytes, keep: MetadataPolicy) -> None:
    """Returns if `block` has only directories, tags and values that `keep` allows, and no byte beside them."""
    reader = TiffReader(block)
    _, blocks = check_directories(reader, Selection(keep), frozenset())
    require(unclaimed(block, [HEADER, *blocks]) == b"", "bytes in the EXIF block that belong to nothing")
    require(not holds_picture(block), "a picture in the EXIF block")


def check_directories(
    reader: TiffReader, selection: Selection, own: frozenset[int]
) -> tuple[dict[Group, Fields], list[Block]]:
    """The fields of every directory of `reader`, and the bytes that they account for; `own` tags are the format's.

    Raises OutputRefused for a directory, tag or value that `selection` does not keep, ValueError or struct.error for
    structure that is broken.
    """
    require(not reader.big, "BigTIFF")
    found: dict[Group, Fields] = {}
    blocks: list[Block] = []
    todo = [(Group.IMAGE, reader.first_offset)]
    while todo:
        group, at = todo.pop()
        directory = reader.directory(at)
        _check_shape(directory)
        blocks.append((at, directory.size))
        fields: Fields = {}
        for tag, entry in directory.entries.items():
            value = reader.value(entry)
            blocks.append((entry.at, entry.size))
            if entry.size <= INLINE_SIZE:
                padding = entry.raw[ENTRY_SIZE - INLINE_SIZE + entry.size :]
                require(not any(padding), "bytes beside a value")
            below = _below(group, tag)
            if below is not None:
                require(below not in found and (below, tag) not in todo, "a directory twice")
                todo.append((below, reader.integers(entry)[0]))
                continue
            if not (group is Group.IMAGE and tag in own):
                require(selection.keeps(group, tag), f"EXIF tag {group}:{tag:04x}")
                require(plain(group, tag, entry.type, entry.count, value), f"the value of EXIF tag {group}:{tag:04x}")
            fields[tag] = (entry.type, entry.count, value)
        found[group] = fields
    gps, meters = found.get(Group.GPS, {}), selection.policy.geo
    if meters is not None:
        require(rounded(gps, reader.order, meters.meters) == gps, "a position that is not rounded")
    return found, blocks


def _check_shape(directory: Directory) -> None:
    require(directory.next_offset == 0, "more than one directory")
    require(directory.size == len(directory.entries) * ENTRY_SIZE + FRAME_SIZE, "a tag twice")


def _below(group: Group, tag: int) -> Group | None:
    """The directory that `tag` of `group` points at."""
    parents = {Group.PHOTO: Group.IMAGE, Group.GPS: Group.IMAGE, Group.INTEROP: Group.PHOTO}
    return next((below for below, pointer in POINTERS.items() if pointer == tag and parents[below] is group), None)


def unclaimed(data: bytes, blocks: list[Block]) -> bytes:
    """What of `data` is in none of the `blocks`, but for single zero bytes that even out an offset."""
    left, at = [], 0
    for offset, length in (*sorted(blocks), (len(data), 0)):
        gap = data[at:offset]
        left.append(b"" if gap == b"\0" and at & 1 else gap)
        at = max(at, offset + length)
    return b"".join(left)
