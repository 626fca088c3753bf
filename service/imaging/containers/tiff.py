"""TIFF (TIFF 6.0, BigTIFF): which pictures of this very open format are read, and files that hold nothing else."""

import struct

from service.errors import CorruptImage, UnsupportedFormat, UnsupportedFrames
from service.imaging.containers.header import MAX_PROFILE_BYTES, MAX_XMP_BYTES, Header
from service.imaging.containers.ifd import Directory, Entry, TiffReader
from service.imaging.metadata import Carried
from service.imaging.raster import ColorModel

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, STRIP_COUNTS = 273, 274, 277, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC, DNG_VERSION = 332, 338, 339, 700, 34675, 50706
PALETTE, YCBCR = 3, 6
COLORS = {
    0: ColorModel.GRAY,
    1: ColorModel.GRAY,
    2: ColorModel.RGB,
    PALETTE: ColorModel.RGB,
    5: ColorModel.CMYK,
    YCBCR: ColorModel.RGB,
}
JPEG_COMPRESSION = 7
COMPRESSIONS = frozenset({1, 2, 3, 4, 5, JPEG_COMPRESSION, 8, 32773, 32946})
"""None, CCITT, LZW, JPEG, PackBits, deflate (both numbers); libvips as it comes in its wheel has no Zstandard."""

FOR_DECODER = frozenset(
    {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIP_OFFSETS, SAMPLES, 278, STRIP_COUNTS, 282, 283, 284}
    | {292, 293, 296, 317, 320, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, INK_SET, EXTRA_SAMPLES}
    | {SAMPLE_FORMAT, 347, 529, 530, 531, 532}
)
"""Besides the named: FillOrder, RowsPerStrip, resolution, planes, T4/T6 options, predictor, palette, JPEG, YCbCr."""

WRITTEN = frozenset(
    {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, SAMPLES, 278, STRIP_COUNTS, 282, 283}
) | (frozenset({284, 296, 317, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT}))
"""The tags of a finished file, beside XMP and ICC."""

BYTE, LONG, UNDEFINED = 1, 4, 7
HEADER_SIZE = 8
MAX_DIRECTORIES = 32
SMALL_TILE = 1024 * 1024
DEPTHS_OF_ONE_SAMPLE, DEPTHS = frozenset({1, 2, 4, 8, 16}), frozenset({8, 16})


def read_header(data: bytes) -> Header:
    """What the first directory says.

    Raises CorruptImage, UnsupportedFormat, UnsupportedFrames, ValueError or struct.error.
    """
    reader = TiffReader(data)
    directory = reader.directory(reader.first_offset)
    _refuse_raw(reader, directory)
    _refuse_pages(reader, directory)

    def integers(tag: int, default: int) -> tuple[int, ...]:
        entry = directory.entries.get(tag)
        return reader.integers(entry) if entry and entry.count <= MAX_DIRECTORIES else (default,)

    width, height = integers(WIDTH, 0)[0], integers(HEIGHT, 0)[0]
    photometric, samples = integers(PHOTOMETRIC, -1)[0], integers(SAMPLES, 1)[0]
    color = COLORS.get(photometric)
    bits = set(integers(BITS, 1))
    compression = integers(COMPRESSION, 1)[0]
    if compression not in COMPRESSIONS:
        raise UnsupportedFormat("Of TIFF, plain, CCITT, LZW, JPEG, deflate and PackBits compression are read.")
    if (
        color is None
        or (photometric == YCBCR and compression != JPEG_COMPRESSION)  # libvips would take the planes for RGB
        or len(bits) != 1
        or not bits <= (DEPTHS_OF_ONE_SAMPLE if samples == 1 else DEPTHS)
        or set(integers(SAMPLE_FORMAT, 1)) != {1}
        or (color is ColorModel.CMYK and integers(INK_SET, 1)[0] != 1)
    ):
        raise UnsupportedFormat("Of TIFF, gray, RGB, palette and CMYK with at most 16 bits a sample are read.")
    colors = 1 if photometric == PALETTE else color.channels
    if samples - colors not in (0, 1) or (photometric == PALETTE and samples != 1):
        raise UnsupportedFormat("Of TIFF, only pictures with at most one channel besides color (alpha) are read.")
    if integers(TILE_WIDTH, 0)[0] * integers(TILE_HEIGHT, 0)[0] > max(width * height, SMALL_TILE):
        raise CorruptImage(cause="tiles larger than the picture")
    orientation = integers(ORIENTATION, 1)[0] if _is_short(directory.entries.get(ORIENTATION)) else 1
    return Header(
        width=width,
        height=height,
        bit_depth=16 if bits == {16} else 8,
        color=color,
        alpha=samples > colors,
        orientation=orientation if 1 <= orientation <= 8 else 1,  # noqa: PLR2004 - the eight ways to turn
        icc=_blob(reader, directory.entries.get(ICC), MAX_PROFILE_BYTES),
        exif=data,
        xmp=_blob(reader, directory.entries.get(XMP), MAX_XMP_BYTES),
        lossless=compression != JPEG_COMPRESSION,
        full_chroma=photometric != YCBCR,
    )


def _refuse_raw(reader: TiffReader, directory: Directory) -> None:
    """Camera raw files begin like TIFF and show a small preview where TIFF has the picture."""
    subfile = directory.entries.get(SUBFILE)
    reduced = subfile is not None and reader.integers(subfile)[0] & 1
    if reduced or DNG_VERSION in directory.entries or reader.data[8:10] == b"CR":
        raise UnsupportedFormat("Camera raw files are not read; develop the picture and send it as JPEG or TIFF.")


def _refuse_pages(reader: TiffReader, directory: Directory) -> None:
    """Directories after the first may only be reduced copies of it (they are dropped), never further pages."""
    offset, seen = directory.next_offset, {directory.at}
    while offset:
        if offset in seen or len(seen) > MAX_DIRECTORIES:
            raise CorruptImage(cause="the directories form a loop or are too many")
        seen.add(offset)
        following = reader.directory(offset)
        subfile = following.entries.get(SUBFILE)
        if subfile is None or not reader.integers(subfile)[0] & 1:
            raise UnsupportedFrames("The TIFF has more than one page; send each as a picture of its own.")
        offset = following.next_offset


def _is_short(entry: Entry | None) -> bool:
    return entry is not None and entry.type == 3 and entry.count == 1  # noqa: PLR2004 - SHORT


def _blob(reader: TiffReader, entry: Entry | None, limit: int) -> bytes | None:
    """The bytes of `entry`; None if it is absent, outside the file or too large."""
    if entry is None or entry.size > limit:
        return None
    try:
        return reader.value(entry)
    except ValueError:
        return None


def pixels_only(data: bytes) -> bytes:
    """The same file with a new only directory at its end, which points at the pixels and at nothing else."""
    reader = TiffReader(data)
    entries = reader.directory(reader.first_offset).entries
    kept = [entries[tag] for tag in sorted(FOR_DECODER & entries.keys())]
    count_code, offset_code = ("Q", "Q") if reader.big else ("H", "I")
    padding = b"\0" * (-len(data) % 8)
    at = len(data) + len(padding)
    head = data[:8] if reader.big else data[:4]
    return b"".join(
        (
            head + struct.pack(reader.order + offset_code, at),
            memoryview(data)[16 if reader.big else 8 :],
            padding,
            struct.pack(reader.order + count_code, len(kept)),
            *(entry.raw for entry in kept),
            struct.pack(reader.order + offset_code, 0),
        )
    )


def attach(data: bytes, extra: Carried) -> bytes:
    """`data`, a TIFF in strips fresh from the encoder, laid out anew: header, strips, directories with their values.

    The first directory has the tags of WRITTEN that the encoder wrote, and XMP, ICC and EXIF of `extra`.
    """
    reader = TiffReader(data)
    entries = reader.directory(reader.first_offset).entries
    fields = {tag: (each.type, each.count, reader.value(each)) for tag, each in entries.items() if tag in WRITTEN}
    counts = reader.integers(entries[STRIP_COUNTS])
    strips = [data[at : at + size] for at, size in zip(reader.integers(entries[STRIP_OFFSETS]), counts, strict=True)]
    offsets = [HEADER_SIZE + sum(counts[:i]) for i in range(len(counts))]
    fields[STRIP_OFFSETS] = (LONG, len(offsets), struct.pack(f"{reader.order}{len(offsets)}I", *offsets))
    for tag, kind, blob in ((XMP, BYTE, extra.xmp), (ICC, UNDEFINED, extra.icc)):
        if blob:
            fields[tag] = (kind, len(blob), blob)
    end = HEADER_SIZE + sum(counts)
    at = end + (end & 1)
    directories = extra.directories.in_order(reader.order).directories(at, fields)
    return b"".join((data[:4], struct.pack(f"{reader.order}I", at), *strips, bytes(at - end), directories))
