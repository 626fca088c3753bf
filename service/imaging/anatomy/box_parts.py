"""The boxes and items of HEIF, AVIF and JPEG 2000 files."""

from service.errors import CorruptImage
from service.imaging.anatomy.exif_parts import dissect_directories
from service.imaging.anatomy.parts import Fate, Part, deeper, embedded_in, gaps, remainder
from service.imaging.anatomy.xmp_parts import dissect_xmp
from service.imaging.containers.heif_items import IMAGES, Item, Items, read_items
from service.imaging.containers.isobmff import Box, read_boxes

META_PICTURE = frozenset({b"hdlr", b"pitm", b"iloc", b"iinf", b"iprp", b"iref", b"idat"})
TOP_NEVER = {b"moov": "film or sequence", b"mpvd": "film of a motion photo", b"uuid": "private", b"free": "free bytes"}
PROPERTIES = frozenset({b"ispe", b"pixi", b"colr", b"av1C", b"hvcC", b"irot", b"imir", b"clap", b"auxC", b"pasp"})
JP2_PICTURE = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c"})
XMP_TYPE = b"application/rdf+xml"
EXIF_OFFSET, EXIF_PREFIX = 4, b"Exif\0\0"
VERSION_AND_FLAGS = 4


def dissect_boxes(data: bytes) -> list[Part]:
    """Raises CorruptImage or struct.error if the boxes do not add up."""
    boxes = read_boxes(data, 0, len(data), trailer=True)
    parts: list[Part] = []
    for each in boxes:
        size = each.end - each.start
        if each.kind in JP2_PICTURE:
            parts.append(Part(each.start, size, _name(each), Fate.PICTURE))
        elif each.kind == b"meta":
            parts += _meta(data, each)
        elif each.kind == b"mdat":
            parts += _content(data, each, boxes)
        else:
            found, what = embedded_in(data, each.payload, each.end), TOP_NEVER.get(each.kind, "")
            parts.append(Part(each.start, size, _name(each), Fate.NEVER, what, embedded=found))
    end = boxes[-1].end if boxes else 0
    return parts + remainder(data, end, len(data), "trailer", "after the last box")


def _meta(data: bytes, meta: Box) -> list[Part]:
    parts = [Part(meta.start, meta.end - meta.start, "meta", Fate.PICTURE)]
    for each in read_boxes(data, meta.payload + VERSION_AND_FLAGS, meta.end):
        fate = Fate.PICTURE if each.kind in META_PICTURE else Fate.NEVER
        parts.append(Part(each.start, each.end - each.start, _name(each), fate, depth=1))
        if each.kind == b"iprp":
            container = read_boxes(data, each.payload, each.end)[0]
            for found in read_boxes(data, container.payload, container.end):
                known = Fate.PICTURE if found.kind in PROPERTIES else Fate.NEVER
                parts.append(Part(found.start, found.end - found.start, _name(found), known, depth=2))
    items = read_items(data, meta)
    shown = _shown(items)
    for item in items.by_id.values():
        parts += deeper(_item(items, item, shown))
    return parts


def _shown(items: Items) -> set[int]:
    """The primary picture, its tiles, its alpha and the tiles of that."""
    shown = {items.primary}
    for start in items.referring(b"auxl", items.primary):
        kind = items.property(items.item(start), b"auxC") or b""
        if b"alpha" in kind:
            shown.add(start)
    for start in tuple(shown):
        shown.update(items.references.get((b"dimg", start), ()))
    return shown


def _item(items: Items, item: Item, shown: set[int]) -> list[Part]:
    """One item; what describes the picture is taken apart, every other picture is one too many."""
    name = f"item {item.id} {item.kind.decode('ascii', 'backslashreplace')}"
    at = item.extents[0][0] if item.extents else 0
    if item.kind in IMAGES:
        own = item.id in shown
        what = "pixels" if own else "another picture: thumbnail, gain map, depth map or the like"
        return [Part(at, item.size, name, Fate.PICTURE if own else Fate.NEVER, what)]
    try:
        content = items.content(item)
    except CorruptImage:
        return [Part(at, item.size, name, Fate.NEVER, "outside the file")]
    if item.kind == b"Exif" and len(content) > EXIF_OFFSET:
        begin = EXIF_OFFSET + int.from_bytes(content[:EXIF_OFFSET], "big")
        return [Part(at, item.size, name, Fate.STRIP), *deeper(dissect_directories(content[begin:]), offset=at + begin)]
    if item.kind == b"mime" and item.content.startswith(XMP_TYPE):
        inside = deeper(dissect_xmp(content, 0, len(content)), offset=at)
        return [Part(at, item.size, name, Fate.STRIP, "XMP"), *inside]
    return [Part(at, item.size, name, Fate.NEVER, embedded=embedded_in(content, 0, len(content)))]


def _content(data: bytes, mdat: Box, boxes: list[Box]) -> list[Part]:
    """The content box, and what of it belongs to no item."""
    metas = [each for each in boxes if each.kind == b"meta"]
    items = read_items(data, metas[0]) if metas else None
    claimed = [extent for item in items.by_id.values() for extent in item.extents] if items else []
    whole = Part(mdat.start, mdat.end - mdat.start, "mdat", Fate.PICTURE if claimed else Fate.NEVER)
    return [whole, *deeper(gaps(data, claimed, mdat.payload, mdat.end))]


def _name(each: Box) -> str:
    return each.kind.decode("ascii", "backslashreplace")
