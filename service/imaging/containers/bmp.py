"""BMP: the headers of its many generations (Microsoft's, [MS-WMF] §2.2.2 and `BITMAPV5HEADER`), read and written."""

import struct
from dataclasses import dataclass

from service.errors import CorruptImage, UnsupportedFormat
from service.imaging.containers.header import MAX_PROFILE_BYTES, Header
from service.imaging.metadata import Carried
from service.imaging.raster import ColorModel

FILE_HEADER, CORE, INFO, V2, V3, OS2, V4, V5 = 14, 12, 40, 52, 56, 64, 108, 124
INFO_MASKS, INFO_ALPHA_MASKS = 12, 16
RGB, RLE8, RLE4, BITFIELDS, ALPHA_BITFIELDS = 0, 1, 2, 3, 6
RUN_LENGTHS = {RLE8: 8, RLE4: 4}
EMBEDDED = b"DEBM"
"""'MBED', as a little-endian number: the profile is in the file."""

SRGB, PICTURE_INTENT = b"BGRs", 4
MAX_SIDE = 0x7FFF_FFFF
DIRECT = {16: (0x7C00, 0x03E0, 0x001F, 0), 24: (0xFF0000, 0xFF00, 0xFF, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
"""Where red, green, blue and alpha are in a pixel, if the file does not say."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the pixels are and what they mean.

    `stride`: bytes of a row. `palette`: (red, green, blue) of each index, for 8 bits a pixel and fewer; `masks`: the
    bits of red, green, blue and alpha, for more.
    """

    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    offset: int
    palette: tuple[tuple[int, int, int], ...]
    masks: tuple[int, int, int, int]
    pixels_per_meter: tuple[int, int]
    icc: bytes | None

    @property
    def stride(self) -> int:
        return (self.width * self.bits + 31) // 32 * 4

    @property
    def gray(self) -> bool:
        """Only grays, and no profile that would be for colors."""
        return bool(self.palette) and self.icc is None and all(r == g == b for r, g, b in self.palette)


def read_header(data: bytes) -> Header:
    """What the headers say. Raises CorruptImage, UnsupportedFormat or struct.error."""
    layout = read_layout(data)
    return Header(
        width=layout.width,
        height=layout.height,
        bit_depth=8,
        color=ColorModel.GRAY if layout.gray else ColorModel.RGB,
        alpha=bool(layout.masks[3]),
        icc=layout.icc,
    )


def read_layout(data: bytes) -> Layout:
    """Both headers, masks and palette of `data`."""
    offset, size = struct.unpack_from("<II", data, 10)
    compression = across = down = colors = 0
    if size == CORE:
        width, height, planes, bits = struct.unpack_from("<HHHH", data, FILE_HEADER + 4)
    elif size in (INFO, V2, V3, OS2, V4, V5):
        width, height, planes, bits, compression = struct.unpack_from("<iiHHI", data, FILE_HEADER + 4)
        across, down, colors = struct.unpack_from("<iiI", data, FILE_HEADER + 24)
    else:
        raise CorruptImage(cause=f"a BMP header of {size} bytes")
    top_down, height = height < 0, abs(height)
    if planes != 1 or not 0 < width <= MAX_SIDE or not 0 < height <= MAX_SIDE:
        raise CorruptImage(cause="an implausible BMP header")
    runs = RUN_LENGTHS.get(compression)
    direct = bits in DIRECT and compression in (RGB, BITFIELDS, ALPHA_BITFIELDS) and not (compression and bits == 24)  # noqa: PLR2004
    if not (direct or (bits in (1, 4, 8) and compression == RGB) or runs == bits) or (runs and top_down):
        raise UnsupportedFormat("Of BMP, 1, 4, 8, 16, 24 and 32 bits a pixel, plain or run-length encoded, are read.")
    if size == OS2 and compression > RLE4:
        raise UnsupportedFormat("Of BMP, OS/2's own ways of compression are not read.")
    after = FILE_HEADER + size
    masks = (0, 0, 0, 0)
    if bits in DIRECT:
        masks = _read_masks(data, size, compression, bits)
        after += {BITFIELDS: INFO_MASKS, ALPHA_BITFIELDS: INFO_ALPHA_MASKS}.get(compression, 0) if size == INFO else 0
    if offset < after:
        raise CorruptImage(cause="pixels inside the BMP header")
    layout = Layout(
        width=width,
        height=height,
        top_down=top_down,
        bits=bits,
        compression=compression,
        offset=offset,
        palette=() if bits in DIRECT else _read_palette(data[after:offset], 3 if size == CORE else 4, bits, colors),
        masks=masks,
        pixels_per_meter=(across, down),
        icc=_read_profile(data) if size == V5 else None,
    )
    if bits not in DIRECT and not layout.palette:
        raise CorruptImage(cause="a BMP without its palette")
    if not runs and offset + layout.stride * height > len(data):
        raise CorruptImage(cause="a BMP without all of its pixels")
    return layout


def _read_masks(data: bytes, size: int, compression: int, bits: int) -> tuple[int, int, int, int]:
    """Which bits of a pixel are red, green, blue and alpha."""
    if compression == RGB:
        return DIRECT[bits]
    with_alpha = compression == ALPHA_BITFIELDS or size >= V3
    red, green, blue, alpha = struct.unpack_from("<IIII" if with_alpha else "<III", data, FILE_HEADER + INFO) + (
        () if with_alpha else (0,)
    )
    for mask in (red, green, blue, alpha):
        low = mask & -mask
        if mask >> bits or mask & (mask + low) or mask > 0xFF * max(low, 1):
            raise UnsupportedFormat("Of BMP, pixels with one run of at most 8 bits for each color are read.")
    if 0 in (red, green, blue) or red & green or (red | green) & blue or (red | green | blue) & alpha:
        raise CorruptImage(cause="BMP masks that overlap or are empty")
    return red, green, blue, alpha


def _read_palette(data: bytes, size: int, bits: int, colors: int) -> tuple[tuple[int, int, int], ...]:
    """(red, green, blue) of every index that there can be; black where the file has no color."""
    count = min(colors or 1 << bits, 1 << bits, len(data) // size)
    found = [(data[at + 2], data[at + 1], data[at]) for at in range(0, count * size, size)]
    return tuple(found)


def _read_profile(data: bytes) -> bytes | None:
    """The profile that a V5 header embeds."""
    kind, at, size = data[FILE_HEADER + 56 : FILE_HEADER + 60], *struct.unpack_from("<II", data, FILE_HEADER + 112)
    start = FILE_HEADER + at
    if kind != EMBEDDED or not 0 < size <= MAX_PROFILE_BYTES or start + size > len(data):
        return None
    return data[start : start + size]


def read_density(data: bytes) -> tuple[float, float]:
    """Pixels to the millimeter across and down; 1 where the file does not say."""
    across, down = read_layout(data).pixels_per_meter
    return (across / 1000, down / 1000) if across > 0 and down > 0 else (1.0, 1.0)


def run_length_file(data: bytes, layout: Layout) -> bytes:
    """A file with the plainest header, the palette and the runs of `data`, a run-length encoded BMP."""
    palette = b"".join(struct.pack("BBBx", blue, green, red) for red, green, blue in layout.palette)
    palette = palette.ljust(4 << layout.bits, b"\0")
    runs = data[layout.offset :]
    offset = FILE_HEADER + INFO + len(palette)
    head = struct.pack("<2sIII", b"BM", offset + len(runs), 0, offset)
    info = (INFO, layout.width, layout.height, 1, layout.bits, layout.compression, len(runs), 0, 0, 0, 0)
    return b"".join((head, struct.pack("<IiiHHIIiiII", *info), palette, runs))


def written_bits(color: ColorModel, *, alpha: bool) -> int:
    """Bits a pixel of a finished file."""
    return 32 if alpha else 8 if color is ColorModel.GRAY else 24


def written_head(extra: Carried, bits: int) -> bytes:
    """Everything before the pixels of a finished file: V5 where there is alpha or a profile, else the plain header."""
    plain = bits != 32 and not extra.icc  # noqa: PLR2004
    size = INFO if plain else V5
    ramp = b"".join(struct.pack("BBBx", i, i, i) for i in range(256)) if bits == 8 else b""  # noqa: PLR2004
    offset = FILE_HEADER + size + len(ramp)
    room = (extra.width * bits + 31) // 32 * 4 * extra.height
    icc = extra.icc or b""
    density = (min(MAX_SIDE, max(1, round(value * 1000))) for value in extra.pixels_per_mm)
    compression = BITFIELDS if bits == 32 else RGB  # noqa: PLR2004
    head = struct.pack("<2sIII", b"BM", offset + room + len(icc), 0, offset)
    head += struct.pack("<IiiHHIIiiII", size, extra.width, extra.height, 1, bits, compression, room, *density, 0, 0)
    if not plain:
        masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if bits == 32 else (0, 0, 0, 0)  # noqa: PLR2004
        profile = (FILE_HEADER + size + len(ramp) + room - FILE_HEADER, len(icc)) if icc else (0, 0)
        kind = EMBEDDED if icc else SRGB
        head += struct.pack("<IIII", *masks) + kind + bytes(36 + 12) + struct.pack("<IIII", PICTURE_INTENT, *profile, 0)
    return head + ramp
