"""What a finished AVIF file may consist of, box by box, item by item and byte by byte."""

from service.imaging.containers import av1
from service.imaging.containers.heif_items import Item, Items, read_items
from service.imaging.containers.isobmff import read_boxes
from service.imaging.metadata import Carried
from service.imaging.verify_metadata import require
from service.policy import MetadataPolicy

TOP_LEVEL = [b"ftyp", b"meta", b"mdat"]
META = [b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp"]
FTYP = b"avif\0\0\0\0avifmif1miaf"
PICTURE = {b"av1C", b"ispe", b"pixi", b"colr"}
ALPHA = (PICTURE - {b"colr"}) | {b"auxC"}
PROPERTY_SIZES = {b"av1C": range(4, 65), b"ispe": range(12, 13), b"pixi": range(6, 9), b"auxC": range(20, 64)}
NCLX_SIZE = 11
EXIF_OFFSET = bytes(4)
XMP_TYPE = b"application/rdf+xml"
AV1_UNITS = frozenset({av1.SEQUENCE_HEADER, av1.FRAME, av1.FRAME_HEADER, av1.TILE_GROUP})


def check_avif(data: bytes, expected: Carried, _: MetadataPolicy) -> None:
    """Returns if `data` is one picture, with alpha or not, and the profile, EXIF and XMP of `expected`, nothing else.

    Raises OutputRefused, or what reading broken boxes raises.
    """
    boxes = read_boxes(data, 0, len(data))
    require([each.kind for each in boxes] == TOP_LEVEL, "other boxes than are meant to be there")
    ftyp, meta, mdat = boxes
    require(data[ftyp.payload : ftyp.end] == FTYP, "odd brands")
    inner = [each.kind for each in read_boxes(data, meta.payload + 4, meta.end)]
    require([each for each in META if each in inner] == inner, "odd boxes in meta")
    items = read_items(data, meta)
    found: dict[bytes, bytes] = {}
    pictures: list[Item] = []
    for item in items.by_id.values():
        kind = item.kind + item.content
        require(kind in (b"av01", b"Exif", b"mime" + XMP_TYPE), "an item that is not meant to be there")
        if item.kind == b"av01":
            pictures.append(item)
        else:
            require(kind not in found and not item.properties, "odd metadata items")
            found[kind] = items.content(item)
    wanted = {b"Exif": expected.exif and EXIF_OFFSET + expected.exif, b"mime" + XMP_TYPE: expected.xmp}
    require(found == {k: v for k, v in wanted.items() if v}, "other metadata than is meant to be there")
    _check_pictures(items, pictures, expected)
    _check_properties(items, expected)
    at = mdat.payload
    for offset, length in (place for item in items.by_id.values() for place in item.extents):
        require(offset == at, "bytes between items")
        at += length
    require(at == mdat.end, "bytes after the items")


def _check_pictures(items: Items, pictures: list[Item], expected: Carried) -> None:
    """One picture, the primary one, and at most one more, its alpha; of the right size, and nothing but AV1."""
    require(1 <= len(pictures) <= 2 and pictures[0].id == items.primary, "another number of pictures")  # noqa: PLR2004
    size = bytes(4) + expected.width.to_bytes(4, "big") + expected.height.to_bytes(4, "big")
    for picture in pictures:
        kinds = [each.kind for each, _ in items.kinds(picture)]
        known = PICTURE if picture is pictures[0] else ALPHA
        require(set(kinds) <= known and kinds.count(b"ispe") == 1, "odd properties")
        require(items.property(picture, b"ispe") == size, "another size")
        content = items.content(picture)
        coded, _ = av1.read_picture(content)
        require((coded.width, coded.height) == (expected.width, expected.height), "another coded size")
        require({each.kind for each in av1.read_units(content)} <= AV1_UNITS, "odd units in the bitstream")
    references = set(items.references)
    metadata = {(b"cdsc", each.id) for each in items.by_id.values() if each not in pictures}
    require(references == metadata | {(b"auxl", each.id) for each in pictures[1:]}, "odd references")
    require(all(ends == (items.primary,) for ends in items.references.values()), "odd references")


def _check_properties(items: Items, expected: Carried) -> None:
    """Of each kind only what its size can hold; the profile that is expected and no other."""
    profiles: list[bytes] = []
    for each in items.properties:
        payload = items.data[each.payload : each.end]
        if each.kind != b"colr":
            require(len(payload) in PROPERTY_SIZES.get(each.kind, ()), "a property that is not meant to be there")
        elif payload[:4] == b"prof":
            profiles.append(payload[4:])
        else:
            require(payload[:4] == b"nclx" and len(payload) == NCLX_SIZE, "odd color information")
    require(profiles == ([expected.icc] if expected.icc else []), "another color profile")
