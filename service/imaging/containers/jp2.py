"""JPEG 2000 Part 1 (ITU-T T.800): the JP2 file around a codestream, and what the codestream costs to decode.

The headers of a codestream can ask for work out of all proportion to its pixels: thousands of layers, blocks of four by
four samples, precincts of one. They are read here, to the last tile, and refused before a decoder sets to work.
"""

import struct
from dataclasses import dataclass

from service.errors import CorruptImage, UnsupportedFormat
from service.imaging.containers.header import MAX_PROFILE_BYTES, MAX_XMP_BYTES, Header
from service.imaging.containers.isobmff import Reader, read_boxes
from service.imaging.raster import ColorModel

FILE_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
XMP_ID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
SIZ, COD, COC, SOT, SOD, EOC = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
MAIN_MARKERS = frozenset({SIZ, COD, COC, 0xFF55, 0xFF57, 0xFF58, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61})
MAIN_MARKERS |= {0xFF63, 0xFF64}
"""Besides the named: TLM, PLM, PLT, QCD, QCC, RGN, POC, PPM, PPT, CRG, COM. Others belong to other parts (HTJ2K)."""

GRAY, SRGB = 17, 16
COLORS = {1: ColorModel.GRAY, 3: ColorModel.RGB, 4: ColorModel.CMYK}
DEPTHS = frozenset(range(1, 17))
CMYK = 12
ENUMERATED = {GRAY: 1, SRGB: 3, CMYK: 4}
ALPHA, PREMULTIPLIED = 1, 2
MAX_TILES, MAX_SEGMENTS, MAX_LAYERS, MAX_LEVELS = 8192, 100_000, 256, 32
BLOCK_BITS = 8
"""A code block or precinct of fewer than 2⁸ samples costs more to keep than its samples do."""

SMALL_PICTURE = 512 * 512
LEAST_TILE = 64 * 64
REVERSIBLE = 1


@dataclass(frozen=True, slots=True)
class Codestream:
    """What SIZ and COD say; `data[start:end]` is the codestream."""

    start: int
    end: int
    width: int
    height: int
    components: int
    depth: int
    reversible: bool


@dataclass(frozen=True, slots=True)
class Wrapper:
    """What the boxes of a JP2 file say: where the codestream is, its colors, and which component is alpha."""

    start: int
    end: int
    color: ColorModel | None = None
    alpha: int | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    components: int | None = None


def read_header(data: bytes) -> Header:
    """What boxes and codestream say. Raises CorruptImage, UnsupportedFormat, IndexError or struct.error."""
    wrapper, stream = read_structure(data)
    alpha = wrapper.alpha is not None
    color = wrapper.color or COLORS.get(stream.components - alpha)
    if color is None or color.channels + alpha != stream.components or (color is ColorModel.CMYK and not wrapper.color):
        raise UnsupportedFormat("Of JPEG 2000, gray, RGB and CMYK with at most one channel besides (alpha) are read.")
    if wrapper.alpha not in (None, stream.components - 1):
        raise UnsupportedFormat("Of JPEG 2000, pictures whose alpha is not their last channel are not read.")
    return Header(
        width=stream.width,
        height=stream.height,
        bit_depth=8 if stream.depth <= 8 else 16,  # noqa: PLR2004
        color=color,
        alpha=alpha,
        icc=wrapper.icc,
        xmp=wrapper.xmp,
        lossless=stream.reversible,
        precision=max(8, stream.depth),
    )


def pixels_only(data: bytes) -> bytes:
    """The codestream alone."""
    _, stream = read_structure(data)
    return data[stream.start : stream.end]


def read_structure(data: bytes) -> tuple[Wrapper, Codestream]:
    """Boxes and codestream headers of `data`."""
    wrapper = Wrapper(0, len(data)) if data.startswith(CODESTREAM) else _read_boxes(data)
    return wrapper, _read_codestream(data, wrapper.start, wrapper.end)


def _read_boxes(data: bytes) -> Wrapper:
    boxes = read_boxes(data, 0, len(data), trailer=True)
    heads = [each for each in boxes if each.kind == b"jp2h"]
    streams = [each for each in boxes if each.kind == b"jp2c"]
    if len(heads) != 1 or not streams:
        raise CorruptImage(cause="a JP2 file without header or codestream")
    color: ColorModel | None = None
    alpha: int | None = None
    icc: bytes | None = None
    inner = read_boxes(data, heads[0].payload, heads[0].end)
    if any(each.kind in (b"pclr", b"cmap") for each in inner):
        raise UnsupportedFormat("Of JPEG 2000, pictures with a palette are not read.")
    for each in reversed(inner):  # of several color specifications, the first counts
        reader = Reader(data, each.payload, each.end)
        if each.kind == b"colr":
            color, icc = _read_color(reader)
        elif each.kind == b"cdef":
            alpha = _read_channels(reader)
    packets = [each for each in boxes if each.kind == b"uuid" and data.startswith(XMP_ID, each.payload)]
    xmp = data[packets[0].payload + len(XMP_ID) : packets[0].end] if packets else None
    if xmp is not None and len(xmp) > MAX_XMP_BYTES:
        xmp = None
    return Wrapper(streams[0].payload, streams[0].end, color, alpha, icc, xmp)


def _read_color(reader: Reader) -> tuple[ColorModel | None, bytes | None]:
    """colr (Annex I.5.3.3): an enumerated color space, or an ICC profile."""
    method = reader.number(1)
    reader.number(2)
    if method == 1:
        channels = ENUMERATED.get(reader.number(4))
        if channels is None:
            raise UnsupportedFormat("Of JPEG 2000, pictures in gray, sRGB, CMYK or with an ICC profile are read.")
        return COLORS[channels], None
    profile = reader.rest()
    if method not in (2, 3) or not 128 <= len(profile) <= MAX_PROFILE_BYTES:  # noqa: PLR2004 - an ICC header
        raise UnsupportedFormat("Of JPEG 2000, pictures in gray, sRGB, CMYK or with an ICC profile are read.")
    spaces = {b"GRAY": ColorModel.GRAY, b"RGB ": ColorModel.RGB, b"CMYK": ColorModel.CMYK}
    if profile[16:20] not in spaces:
        raise UnsupportedFormat("Of JPEG 2000, pictures with a profile for gray, RGB or CMYK are read.")
    return spaces[profile[16:20]], profile


def _read_channels(reader: Reader) -> int | None:
    """The channel that cdef (Annex I.5.3.6) calls alpha; the others must be colors in their usual order."""
    alpha: int | None = None
    for _ in range(reader.number(2)):
        channel, kind, association = reader.number(2), reader.number(2), reader.number(2)
        if kind == ALPHA and association == 0 and alpha is None:
            alpha = channel
        elif kind != 0 or association != channel + 1:
            raise UnsupportedFormat("Of JPEG 2000, pictures with channels in another order are not read.")
    return alpha


def _read_codestream(data: bytes, start: int, end: int) -> Codestream:
    """Main header and all tile-part headers (Annex A). Raises CorruptImage or UnsupportedFormat."""
    if not data.startswith(CODESTREAM, start):
        raise CorruptImage(cause="no codestream")
    size = Reader(data, start + 6, end)
    capabilities = size.number(2)
    x1, y1, x0, y0, tile_width, tile_height, tile_x, tile_y = (size.number(4) for _ in range(8))
    count = size.number(2)
    components = [(size.number(1), size.number(1), size.number(1)) for _ in range(min(count, 6))]
    if capabilities & 0xC000:
        raise UnsupportedFormat("Of JPEG 2000, Part 1 is read (no HTJ2K, no extensions).")
    if len({each[0] for each in components}) != 1 or components[0][0] + 1 not in DEPTHS or count not in COLORS:
        raise UnsupportedFormat("Of JPEG 2000, 1, 3 or 4 equal components of at most 16 bits without sign are read.")
    if any(each[1:] != (1, 1) for each in components):
        raise UnsupportedFormat("Of JPEG 2000, pictures with subsampled color are not read.")
    width, height = x1 - x0, y1 - y0
    if width < 1 or height < 1 or tile_width < 1 or tile_height < 1 or tile_x > x0 or tile_y > y0:
        raise CorruptImage(cause="an implausible picture area")
    if tile_x + tile_width <= x0 or tile_y + tile_height <= y0:
        raise CorruptImage(cause="an empty first tile")
    tiles = -(-(x1 - tile_x) // tile_width) * -(-(y1 - tile_y) // tile_height)
    small = width * height <= SMALL_PICTURE
    if tiles > MAX_TILES or (tiles > 1 and not small and tile_width * tile_height < LEAST_TILE):
        raise CorruptImage(cause="more tiles than a picture has")
    reversible = _read_headers(data, start, end, count, small=small, tiles=tiles)
    return Codestream(start, end, width, height, count, components[0][0] + 1, reversible)


def _read_headers(data: bytes, start: int, end: int, components: int, *, small: bool, tiles: int) -> bool:
    """Checks every header's coding style; whether all are reversible. Raises CorruptImage or UnsupportedFormat."""
    at, segments = start + 2, 0
    present: set[int] = set()
    styles: list[bool] = []
    part_end: int | None = None
    while True:
        (marker,) = struct.unpack_from(">H", data, at)
        if marker == EOC and part_end is None:
            if len(present) != tiles:
                raise CorruptImage(cause="tiles are missing")
            break
        if marker == SOD and part_end is not None:
            at, part_end = part_end, None
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        following = at + 2 + length
        segments += 1
        if length < 2 or following > end or segments > MAX_SEGMENTS:  # noqa: PLR2004 - the length counts itself
            raise CorruptImage(cause=f"a marker segment that does not fit at byte {at}")
        reader = Reader(data, at + 4, following)
        if marker == SOT and part_end is None:
            tile, size = reader.number(2), reader.number(4)
            part_end = at + size if size else _last_part(data, end)
            if tile >= tiles or part_end <= following or part_end > end:
                raise CorruptImage(cause="a tile-part that does not fit")
            present.add(tile)
        elif marker in (COD, COC):
            styles.append(_read_style(reader, components, marker=marker, small=small))
        elif marker not in MAIN_MARKERS:
            raise UnsupportedFormat("Of JPEG 2000, Part 1 is read (no HTJ2K, no extensions).")
        at = following
    return bool(styles) and all(styles)


def _last_part(data: bytes, end: int) -> int:
    """The end of a tile-part of unsaid length: it goes to the end of the codestream (A.4.2)."""
    if data[end - 2 : end] != b"\xff\xd9":
        raise CorruptImage(cause="a codestream without its end")
    return end - 2


def _read_style(reader: Reader, components: int, *, marker: int, small: bool) -> bool:
    """Bounds what COD or COC asks for (A.6.1, A.6.2); whether its wavelet is the reversible one."""
    if marker == COC:
        reader.number(1 if components < 257 else 2)  # noqa: PLR2004
    own_precincts = reader.number(1) & 1
    if marker == COD:
        reader.number(1)
        if not 0 < reader.number(2) <= MAX_LAYERS:
            raise CorruptImage(cause="more layers than a picture has")
        reader.number(1)
    levels, across, down = reader.number(1), reader.number(1) + 2, reader.number(1) + 2
    reader.number(1)
    reversible = reader.number(1) == REVERSIBLE
    if levels > MAX_LEVELS or across > 10 or down > 10 or across + down > 12:  # noqa: PLR2004 - A.6.1
        raise CorruptImage(cause="an implausible coding style")
    for level in range(levels + 1):
        precinct = reader.number(1) if own_precincts else 0xFF
        half = 1 if level else 0
        block = min(across, (precinct & 15) - half) + min(down, (precinct >> 4) - half)
        if block < BLOCK_BITS and not small and level > levels - 5:
            raise CorruptImage(cause="blocks too small for a picture of this size")
    return reversible
