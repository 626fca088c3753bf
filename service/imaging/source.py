"""An upload, judged by its first look: what it is, how large, how turned, before any pixel is decoded."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from service.errors import CorruptImage, TooManyPixels
from service.imaging.containers import bmp, heif, jp2, jpeg, png, tiff, webp
from service.imaging.containers.header import Header
from service.imaging.formats import ImageFormat, sniff
from service.imaging.gpano import rebuild_gpano
from service.imaging.metadata import usable_profile
from service.imaging.raster import ColorModel

__all__ = ["ImageFormat", "Source", "SourceLimits", "inspect"]

READERS: dict[ImageFormat, Callable[[bytes], Header]] = {
    ImageFormat.JPEG: jpeg.read_header,
    ImageFormat.PNG: png.read_header,
    ImageFormat.WEBP: webp.read_header,
    ImageFormat.TIFF: tiff.read_header,
    ImageFormat.BMP: bmp.read_header,
    ImageFormat.AVIF: heif.read_header,
    ImageFormat.HEIC: heif.read_header,
    ImageFormat.JP2: jp2.read_header,
}


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What is refused from the header: more pixels in all, or a longer side."""

    max_pixels: int
    max_side: int


@dataclass(frozen=True, slots=True)
class Source:
    """An upload within the limits.

    `width` and `height` are of the picture as displayed upright, `stored_width` and `stored_height` as in the file.
    `orientation`: EXIF 1..8. `bit_depth`: 8 or 16, of decoded samples. `icc`: the profile, if it is one for `color`.
    `gpano`: the rebuilt projection packet, `equirectangular`: whether it says so. `exif`, `xmp`, `png_color`: as
    embedded, unchecked.
    `lossless`, `full_chroma`, `precision`: as in Header.
    """

    data: bytes = field(repr=False)
    format: ImageFormat
    width: int
    height: int
    stored_width: int
    stored_height: int
    orientation: int
    bit_depth: int
    color: ColorModel
    alpha: bool
    icc: bytes | None = field(default=None, repr=False)
    gpano: bytes | None = field(default=None, repr=False)
    equirectangular: bool = False
    lossless: bool = False
    full_chroma: bool = True
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    png_color: tuple[tuple[bytes, bytes], ...] = ()
    precision: int = 0


def inspect(data: bytes, limits: SourceLimits) -> Source:
    """What `data` is, by its content and header alone.

    Raises UnsupportedFormat, UnsupportedFrames, TooManyPixels, or CorruptImage if the header does not add up.
    """
    kind = sniff(data)
    try:
        header = READERS[kind](data)
    except (ValueError, IndexError, KeyError, OverflowError, struct.error) as error:
        raise CorruptImage(cause=f"{kind} header: {error}") from None
    if header.width < 1 or header.height < 1:
        raise CorruptImage(cause="a side of zero pixels")
    if max(header.width, header.height) > limits.max_side or header.width * header.height > limits.max_pixels:
        raise TooManyPixels
    gpano, equirectangular = rebuild_gpano(header.xmp) if header.xmp else (None, False)
    turned = header.orientation > 4  # noqa: PLR2004 - 5..8 swap the axes
    return Source(
        data=data,
        format=kind,
        width=header.height if turned else header.width,
        height=header.width if turned else header.height,
        stored_width=header.width,
        stored_height=header.height,
        orientation=header.orientation,
        bit_depth=header.bit_depth,
        color=header.color,
        alpha=header.alpha,
        icc=usable_profile(header.icc, header.color),
        gpano=gpano,
        equirectangular=equirectangular,
        lossless=header.lossless,
        full_chroma=header.full_chroma,
        exif=header.exif,
        xmp=header.xmp,
        png_color=header.png_color,
        precision=header.precision,
    )
