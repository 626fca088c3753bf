"""HEIF and AVIF (ISO/IEC 23008-12, AV1 Image File Format 1.1): the one picture of a file, and files with nothing else.

Coded pictures, grids of them, and alpha are read. Depth maps, gain maps, thumbnails, films and every other item are
left behind. Orientation is what `irot` and `imir` say; an orientation in EXIF is not, by these formats' own rules.
"""

import struct
from dataclasses import dataclass

import numpy as np

from service.errors import CorruptImage, UnsupportedFormat, UnsupportedFrames
from service.imaging.cicp import profile_for
from service.imaging.containers import av1, hevc
from service.imaging.containers.header import MAX_PROFILE_BYTES, MAX_XMP_BYTES, Header
from service.imaging.containers.heif_items import IMAGES, Item, Items, read_items
from service.imaging.containers.heif_writer import Part, write_heif
from service.imaging.containers.hevc import Coded
from service.imaging.containers.isobmff import Reader, read_boxes
from service.imaging.containers.isobmff import box as make_box
from service.imaging.metadata import Carried
from service.imaging.raster import ColorModel, upright_view

HEVC, AV1 = frozenset({b"hvc1", b"hev1"}), frozenset({b"av01"})
ALPHA_TYPES = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
UNDERSTOOD = frozenset({b"hvcC", b"av1C", b"ispe", b"pixi", b"colr", b"irot", b"imir", b"clap", b"pasp", b"auxC"})
FOR_DECODER = frozenset({b"hvcC", b"av1C", b"ispe", b"pixi", b"auxC"})
SLACK = 128
"""Encoders round a picture up to whole blocks of up to 64 pixels, some twice."""

MAX_EXIF_BYTES = 1024 * 1024
XMP_TYPE = b"application/rdf+xml"
TOGETHER = (b"altr", b"ster")
"""Groups of which one is shown: alternatives, and the eyes of a stereo picture."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Color or alpha: one coded item, or a grid of `tiles`; `width` and `height` before any turn or crop."""

    item: Item
    tiles: tuple[Item, ...]
    coded: Coded
    width: int
    height: int
    cicp: tuple[int, int, int] | None

    @property
    def is_av1(self) -> bool:
        return (self.tiles or (self.item,))[0].kind in AV1


@dataclass(frozen=True, slots=True)
class Still:
    """The picture that a file shows: crop (left, top, right, bottom) first, then the turn of EXIF `orientation`."""

    items: Items
    color: Layer
    alpha: Layer | None
    premultiplied: bool
    crop: tuple[int, int, int, int]
    orientation: int


def read_still(data: bytes) -> Still:
    """The one picture of `data`. Raises CorruptImage, UnsupportedFormat, UnsupportedFrames or struct.error."""
    boxes = read_boxes(data, 0, len(data), trailer=True)
    metas = [each for each in boxes if each.kind == b"meta"]
    if any(each.kind in (b"moov", b"moof") for each in boxes):
        raise UnsupportedFrames("The file is an image sequence; send each frame as a picture of its own.")
    if len(metas) != 1:
        raise CorruptImage(cause=f"{len(metas)} meta boxes")
    items = read_items(data, metas[0])
    primary = items.item(items.primary)
    _refuse_frames(items, primary)
    color = _read_layer(items, primary)
    alphas = [items.item(each) for each in items.referring(b"auxl", primary.id)]
    alphas = [each for each in alphas if (items.property(each, b"auxC") or b"")[4:].startswith(ALPHA_TYPES)]
    if len(alphas) > 1:
        raise CorruptImage(cause="alpha twice")
    alpha = _read_layer(items, alphas[0]) if alphas else None
    if alpha and (alpha.width, alpha.height, alpha.is_av1) != (color.width, color.height, color.is_av1):
        raise CorruptImage(cause="alpha that does not fit")
    crop, orientation = _read_turn(items, color)
    premultiplied = alpha is not None and alpha.item.id in items.references.get((b"prem", primary.id), ())
    return Still(items, color, alpha, premultiplied, crop, orientation)


def read_header(data: bytes) -> Header:
    """What the items say. Raises what `read_still` raises."""
    still = read_still(data)
    left, top, right, bottom = still.crop
    coded = still.color.coded
    color = ColorModel.GRAY if coded.monochrome else ColorModel.RGB
    return Header(
        width=right - left,
        height=bottom - top,
        bit_depth=8 if coded.bit_depth == 8 else 16,  # noqa: PLR2004
        color=color,
        alpha=still.alpha is not None,
        orientation=still.orientation,
        icc=_read_profile(still, color),
        exif=_read_exif(still.items),
        xmp=_read_metadata(still.items, b"mime", XMP_TYPE, MAX_XMP_BYTES),
        lossless=coded.lossless,
        full_chroma=coded.full_chroma,
        precision=coded.bit_depth,
    )


def _refuse_frames(items: Items, primary: Item) -> None:
    """Refuses more pictures than one; parts, thumbnails, auxiliary and alternative ones are none of their own."""
    lesser = {start for kind, start in items.references if kind in (b"thmb", b"auxl")}
    lesser |= {end for (kind, _), ends in items.references.items() if kind == b"dimg" for end in ends}
    lesser |= {each for kind, ids in items.groups if kind in TOGETHER and primary.id in ids for each in ids}
    others = [
        each
        for each in items.by_id.values()
        if each.kind in IMAGES and not each.hidden and each.id not in lesser and each.id != primary.id
    ]
    if others:
        raise UnsupportedFrames("The file has more than one picture; send each as a file of its own.")


def _read_layer(items: Items, item: Item) -> Layer:
    if any(essential and each.kind not in UNDERSTOOD for each, essential in items.kinds(item)):
        raise UnsupportedFormat("Of HEIC and AVIF, pictures with special properties (layers, for one) are not read.")
    if item.kind != b"grid":
        width, height = _size(items, item)
        coded, cicp = _read_coded(items, item, {})
        return Layer(item, (), coded, width, height, cicp)
    reader = Reader(content := items.content(item), 0, len(content))
    reader.number(1)
    wide = 4 if reader.number(1) & 1 else 2
    down, across = reader.number(1) + 1, reader.number(1) + 1
    width, height = reader.number(wide), reader.number(wide)
    tiles = tuple(items.item(each) for each in items.references.get((b"dimg", item.id), ()))
    sizes = {_size(items, each) for each in tiles}
    if len(tiles) != down * across or len(sizes) != 1 or len({each.kind for each in tiles}) != 1:
        raise CorruptImage(cause="a grid whose tiles do not fit")
    ((tile_width, tile_height),) = sizes
    if not ((across - 1) * tile_width < width <= across * tile_width):
        raise CorruptImage(cause="a grid of another width than its tiles")
    if not ((down - 1) * tile_height < height <= down * tile_height):
        raise CorruptImage(cause="a grid of another height than its tiles")
    known: dict[bytes, Coded] = {}
    kinds = {_read_coded(items, each, known) for each in tiles}
    if len({(c.bit_depth, c.monochrome, c.full_chroma, cicp) for c, cicp in kinds}) != 1:
        raise CorruptImage(cause="a grid of different tiles")
    coded, cicp = min(kinds, key=lambda kind: kind[0].lossless)
    return Layer(item, tiles, coded, width, height, cicp)


def _read_coded(items: Items, item: Item, known: dict[bytes, Coded]) -> tuple[Coded, tuple[int, int, int] | None]:
    """What the bitstream of a coded `item` says, and its color code points. `known`: by configuration, to save time."""
    cicp: tuple[int, int, int] | None = None
    if item.kind in HEVC:
        configuration = items.property(item, b"hvcC") or b""
        coded = known.get(configuration) or hevc.read_configuration(configuration).coded
        known[configuration] = coded
        slack = SLACK
    elif item.kind in AV1:
        coded, cicp = av1.read_picture(items.content(item))
        slack = 0
    else:
        raise UnsupportedFormat("Of HEIC and AVIF, pictures coded in HEVC or AV1, and grids of them, are read.")
    width, height = _size(items, item)
    if coded.width > width + slack or coded.height > height + slack:
        raise CorruptImage(cause="a bitstream larger than its picture")
    return coded, cicp


def _size(items: Items, item: Item) -> tuple[int, int]:
    payload = items.property(item, b"ispe")
    if payload is None:
        raise CorruptImage(cause="a picture without its size")
    width, height = struct.unpack_from(">II", payload, 4)
    return width, height


def _read_turn(items: Items, color: Layer) -> tuple[tuple[int, int, int, int], int]:
    """Crop and orientation by the properties clap, irot and imir, in their order."""
    crop = (0, 0, color.width, color.height)
    probe = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    turned = probe
    for each, _ in items.kinds(color.item):
        value = items.data[each.payload : each.end]
        if each.kind == b"irot":
            turned = np.rot90(turned, value[0] & 3)
        elif each.kind == b"imir":
            turned = turned[:, ::-1] if value[0] & 1 else turned[::-1]
        elif each.kind == b"clap":
            if turned is not probe or crop != (0, 0, color.width, color.height):
                raise UnsupportedFormat("Of HEIC and AVIF, pictures that are turned before they are cropped.")
            crop = _read_crop(value, color)
    orientation = next(each for each in range(1, 9) if np.array_equal(upright_view(probe, each), turned))
    return crop, orientation


def _read_crop(payload: bytes, color: Layer) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a clean aperture (ISO/IEC 14496-12 §12.1.4); it must be of whole pixels."""
    fractions = struct.unpack_from(">IIIIiIiI", payload)
    if 0 in fractions[1::2]:
        raise CorruptImage(cause="a crop divided by zero")
    edges: list[int] = []
    for side, size, size_by, shift, shift_by in (
        (color.width, *fractions[0:2], *fractions[4:6]),
        (color.height, *fractions[2:4], *fractions[6:8]),
    ):
        length = size // size_by
        start = (side - length) * shift_by + 2 * shift
        low = start // (2 * shift_by)
        if size % size_by or length < 1 or low < 0 or low + length > side:
            raise CorruptImage(cause="a crop that does not fit")
        edges += [low, low + length]
    return edges[0], edges[2], edges[1], edges[3]


def _read_profile(still: Still, color: ColorModel) -> bytes | None:
    """The embedded ICC profile, or one made for the color code points, None if these are sRGB or unsaid."""
    cicp = still.color.cicp
    found: bytes | None = None
    for item in (still.color.item, *still.color.tiles[:1]):
        for each, _ in still.items.kinds(item):
            payload = still.items.data[each.payload : each.end]
            if each.kind == b"colr" and payload[:4] in (b"prof", b"rICC") and len(payload) <= MAX_PROFILE_BYTES:
                found = found or payload[4:]
            elif each.kind == b"colr" and payload[:4] == b"nclx":
                primaries, transfer, matrix = struct.unpack_from(">HHH", payload, 4)
                cicp = (primaries, transfer, matrix)
    return found or (profile_for(*cicp[:2], color) if cicp else None)


def _read_exif(items: Items) -> bytes | None:
    """The EXIF block, without what is before its TIFF structure (Annex A.2.1)."""
    content = _read_metadata(items, b"Exif", b"", MAX_EXIF_BYTES)
    return content[4 + int.from_bytes(content[:4], "big") :].removeprefix(b"Exif\0\0") if content else None


def _read_metadata(items: Items, kind: bytes, content_type: bytes, most: int) -> bytes | None:
    """The first item of this kind; None if there is none, or one too large to be looked at, or outside the file."""
    for each in items.by_id.values():
        if (each.kind, each.content) == (kind, content_type) and 0 < each.size <= most:
            try:
                return items.content(each)
            except CorruptImage:
                return None
    return None


def pixels_only(data: bytes) -> bytes:
    """A file with the coded pixels and nothing else; neither turn nor crop is in it."""
    still = read_still(data)
    return write_heif(b"avif" if still.color.is_av1 else b"heic", _parts(still, still.color, still.alpha))


def attach(data: bytes, extra: Carried) -> bytes:
    """`data`, an AVIF fresh from the encoder, with the ICC profile, EXIF and XMP of `extra` and nothing else."""
    still = read_still(data)
    profile = make_box(b"colr", b"prof", extra.icc) if extra.icc else None
    parts = _parts(still, still.color, still.alpha, profile)
    if extra.exif:
        # ISO/IEC 23008-12 Annex A.2.1: the block begins after this offset.
        parts.append(Part(b"Exif", bytes(4) + extra.exif, (), ((b"cdsc", (1,)),)))
    if extra.xmp:
        parts.append(Part(b"mime", extra.xmp, (), ((b"cdsc", (1,)),), XMP_TYPE))
    return write_heif(b"avif", parts)


def _parts(still: Still, color: Layer, alpha: Layer | None, profile: bytes | None = None) -> list[Part]:
    """The items of a new file: color first, then its tiles, alpha and its tiles. Numbers are places, from 1."""
    parts: list[Part] = []
    for layer in (color, alpha):
        if layer is None:
            continue
        first = len(parts) + 1
        references: list[tuple[bytes, tuple[int, ...]]] = []
        if layer.tiles:
            references.append((b"dimg", tuple(range(first + 1, first + 1 + len(layer.tiles)))))
        if layer is alpha:
            references.append((b"auxl", (1,)))
        own = [profile] if profile and layer is color else []
        content = still.items.content(layer.item) if layer.tiles else _coded_content(still.items, layer.item)
        parts.append(Part(layer.item.kind, content, (*_properties(still.items, layer.item), *own), tuple(references)))
        parts += [
            Part(each.kind, _coded_content(still.items, each), _properties(still.items, each), hidden=True)
            for each in layer.tiles
        ]
    return parts


def _coded_content(items: Items, item: Item) -> bytes:
    content = items.content(item)
    if item.kind in AV1:
        return av1.only_picture(content)
    configuration = hevc.read_configuration(items.property(item, b"hvcC") or b"")
    return hevc.only_slices(content, configuration.length_size)


def _properties(items: Items, item: Item) -> tuple[bytes, ...]:
    """The property boxes of `item` that a decoder needs: each kind once, of the color only its code points."""
    kept: dict[bytes, bytes] = {}
    for each, _ in items.kinds(item):
        nclx = each.kind == b"colr" and items.data[each.payload : each.payload + 4] == b"nclx"
        if each.kind in FOR_DECODER or nclx:
            kept.setdefault(each.kind, items.data[each.start : each.end])
    return tuple(kept.values())
