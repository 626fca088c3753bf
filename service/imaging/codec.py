"""Pixels out of files and into files: the one place where a decoder or an encoder runs.

libvips (set up in `libvips`) does most of it; HEIC, JPEG 2000 and BMP have modules of their own, `heif_pixels`,
`jpeg2000` and `bitmap`. All read and write memory only and compute one picture on one thread (the pool above decides
how many pictures there are).

The decoder is given the pixels' part of a file alone (`containers.*.pixels_only`), so no metadata parser in C meets
what somebody sent. The encoder is given an array, so nothing of the source comes along but what `Carried` names.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pyvips

from service.errors import CorruptImage, InvalidRequest, OptionProblem, VeilError
from service.imaging.arrival import Arrival
from service.imaging.bitmap import decode_bmp, encode_bmp
from service.imaging.containers import bmp, heif, jpeg, png, tiff, webp
from service.imaging.formats import WRITTEN, ImageFormat
from service.imaging.heif_pixels import decode_heif
from service.imaging.jpeg2000 import decode_jp2
from service.imaging.libvips import READ_OPTIONS, STREAM_OPTIONS
from service.imaging.metadata import STRIP, Carried, carried, usable_profile
from service.imaging.obscuring import Composite
from service.imaging.raster import ColorModel, Pixels, Raster, UInt8Image
from service.imaging.source import Source
from service.policy import MetadataPolicy

MAX_SIDE = {ImageFormat.JPEG: 65_500, ImageFormat.WEBP: 16_383, ImageFormat.AVIF: 16_384}
"""Longest side that the format can hold (libjpeg, RFC 9649), or that libvips makes (AVIF)."""

LOADERS: dict[ImageFormat, tuple[Callable[[bytes], bytes], Callable[..., Any]]] = {
    ImageFormat.JPEG: (jpeg.pixels_only, pyvips.Image.jpegload_buffer),
    ImageFormat.PNG: (png.pixels_only, pyvips.Image.pngload_buffer),
    ImageFormat.WEBP: (webp.pixels_only, pyvips.Image.webpload_buffer),
    ImageFormat.TIFF: (tiff.pixels_only, pyvips.Image.tiffload_buffer),
}
OTHER_DECODERS: dict[ImageFormat, Callable[[bytes], Pixels]] = {
    ImageFormat.HEIC: decode_heif,
    ImageFormat.AVIF: decode_heif,
    ImageFormat.JP2: decode_jp2,
    ImageFormat.BMP: decode_bmp,
}
DTYPES: dict[str, type[np.uint8] | type[np.uint16]] = {"uchar": np.uint8, "ushort": np.uint16}
VIPS_FORMATS = {np.dtype(np.uint8): "uchar", np.dtype(np.uint16): "ushort"}
OF_8_BITS = (ImageFormat.JPEG, ImageFormat.WEBP, ImageFormat.BMP)
STRIP_PIXELS = 1_000_000
STRIP_ROWS = 16
"""Rows that are decoded at a time: few, so that a strip of a wide picture stays in the processor's cache."""

GRAY_WITH_ALPHA = 2
PNG_OPTIONS = {"compression": 3, "filter": "paeth", "keep": "none"}
TIFF_OPTIONS = {"compression": "deflate", "predictor": "horizontal", "level": 3, "keep": "none"}
WEBP_LOSSY = {"effort": 2, "alpha_q": 100, "keep": "none"}
WEBP_LOSSLESS = {"lossless": True, "exact": True, "effort": 0, "keep": "none"}
AVIF_EFFORT = 1
"""More effort costs two to four times as much for a few percent of size (measured on photographs): not worth it."""

AVIF_DEPTHS, MOST_AVIF_BITS = {8: 8, 9: 10, 10: 10}, 12
"""Bits that AVIF has for those of the source, and for all that are more."""


def decode(source: Source) -> Raster:
    """The pixels of `source` as stored, in a writable array of their own depth.

    Palettes and depths below 8 bits are expanded; premultiplied alpha is divided out; CMYK is ink, whatever the file
    says. Raises CorruptImage if the data ends early, is damaged, makes the decoder warn or contradicts the header.
    """
    arrival = begin(source)
    arrival.decode()
    return arrival.take()


def begin(source: Source) -> Arrival:
    """As `decode`, strip by strip from the top where the format can be decoded so, else at once. Raises alike."""
    other = OTHER_DECODERS.get(source.format)
    if other is None:
        return _by_libvips(source)
    density = bmp.read_density(source.data) if source.format is ImageFormat.BMP else (1.0, 1.0)
    pixels = other(source.data)
    if pixels.shape[:2] != (source.stored_height, source.stored_width):
        raise CorruptImage(cause=f"decoder: {pixels.shape}")
    return Arrival(_raster(pixels, source, density))


def _raster(pixels: Pixels, source: Source, density: tuple[float, float]) -> Raster:
    pixels, alpha = _with_channels(pixels, source.color)
    return Raster(
        pixels=pixels,
        color=source.color,
        alpha=alpha,
        orientation=source.orientation,
        icc=source.icc,
        gpano=source.gpano,
        pixels_per_mm=density,
        lossless=source.lossless,
        full_chroma=source.full_chroma,
        exif=source.exif,
        xmp=source.xmp,
        png_color=source.png_color,
        precision=source.precision,
    )


def _by_libvips(source: Source) -> Arrival:
    """The picture and its decoder, begun and no more."""
    pixels_only, load = LOADERS[source.format]
    options: dict[str, Any] = dict(STREAM_OPTIONS if source.format is ImageFormat.JPEG else READ_OPTIONS)
    if source.format is ImageFormat.TIFF:
        options["unlimited"] = True
    try:
        image = load(pixels_only(source.data), **options)
    except pyvips.Error as error:
        raise _damaged(error) from None
    if (image.width, image.height) != (source.stored_width, source.stored_height) or image.format not in DTYPES:
        raise CorruptImage(cause=f"decoder: {image.width}×{image.height} {image.format}")
    pixels = cast(Pixels, np.empty((image.height, image.width, image.bands), DTYPES[image.format]))
    strips, density = _strips(image, pixels), (image.xres, image.yres)
    if source.color is ColorModel.RGB and image.bands <= GRAY_WITH_ALPHA:
        for _ in strips:
            continue  # channels are added to the whole
        return Arrival(_raster(pixels, source, density))
    return Arrival(_raster(pixels, source, density), strips)


def _strips(image: Any, pixels: Pixels) -> Iterator[int]:
    """Decodes `image` into `pixels`, (H, W, C) alike; yields how many rows are there."""
    height, width, bands = pixels.shape
    try:
        region = pyvips.Region.new(image)
        for top in range(0, height, STRIP_ROWS):
            rows = min(STRIP_ROWS, height - top)
            strip = np.frombuffer(region.fetch(0, top, width, rows), pixels.dtype)
            pixels[top : top + rows] = strip.reshape(rows, width, bands)
            yield top + rows
    except pyvips.Error as error:
        raise _damaged(error) from None


def _damaged(error: Any) -> CorruptImage:
    return CorruptImage(cause=f"decoder: {error.detail[:500]}")


def _with_channels(pixels: Pixels, color: ColorModel) -> tuple[Pixels, bool]:
    """`pixels` (H, W, C) with the channels that the header promised, and whether there is alpha besides.

    libvips gives a palette of grays as gray. Raises CorruptImage if the channels fit in no way.
    """
    bands = pixels.shape[2]
    if color is ColorModel.RGB and bands <= GRAY_WITH_ALPHA:
        pixels = cast(Pixels, np.ascontiguousarray(pixels[:, :, [0, 0, 0, *range(1, bands)]]))
        return pixels, bands == GRAY_WITH_ALPHA
    if bands - color.channels not in (0, 1):
        raise CorruptImage(cause=f"decoder: {bands} channels for {color}")
    return pixels, bands > color.channels


def encode(composite: Composite, to: ImageFormat, quality: int, keep: MetadataPolicy = STRIP) -> bytes:
    """`composite` as a finished file of format `to`: its pixels and what `metadata.carried` names, nothing else.

    JPEG is encoded at `quality` (1..100), with color at half resolution if the source had it so. WebP and AVIF are
    lossless if the source was, else at `quality`. PNG and TIFF are lossless, with all 16 bits; AVIF keeps 8, 10 and 12
    bits, and of 16 the upper 12. What a format lacks is converted: 16 bits to 8, alpha flattened on white, CMYK to sRGB
    by its profile. Equal input gives equal bytes.

    Raises InvalidRequest if the picture is too large for the format or the format is not written.
    """
    if to not in WRITTEN:
        raise InvalidRequest([OptionProblem("/format", f"{to.label} is not written")])
    raster = composite.raster
    extra = carried(raster, to, keep)
    limit = MAX_SIDE.get(to)
    if limit and max(extra.width, extra.height) > limit:
        reason = f"{to.value} holds at most {limit} pixels a side, and the picture has more"
        raise InvalidRequest([OptionProblem("/format", reason)])
    try:
        return _write(_to_image(raster, to, extra), to, quality, raster, extra)
    except pyvips.Error as error:
        raise VeilError(cause=f"encoder: {error.detail[:500]}") from None


def _write(image: Any, to: ImageFormat, quality: int, raster: Raster, extra: Carried) -> bytes:
    match to:
        case ImageFormat.JPEG:
            subsample = "off" if raster.full_chroma else "on"
            return jpeg.attach(image.jpegsave_buffer(Q=quality, subsample_mode=subsample, keep="none"), extra)
        case ImageFormat.PNG:
            return png.attach(image.pngsave_buffer(**PNG_OPTIONS), extra)
        case ImageFormat.WEBP:
            options = WEBP_LOSSLESS if raster.lossless else WEBP_LOSSY | {"Q": quality}
            return webp.attach(image.webpsave_buffer(**options), extra)
        case ImageFormat.TIFF:
            image = image.copy(xres=extra.pixels_per_mm[0], yres=extra.pixels_per_mm[1])
            return tiff.attach(image.tiffsave_buffer(**TIFF_OPTIONS), extra)
        case ImageFormat.AVIF:
            return heif.attach(image.heifsave_buffer(**_avif_options(raster, quality)), extra)
        case _:  # BMP
            memory = image.write_to_memory()
            pixels = np.ndarray((image.height, image.width, image.bands), np.uint8, memory)
            return encode_bmp(pixels, extra.color, extra)


def _avif_options(raster: Raster, quality: int) -> dict[str, Any]:
    """Lossless as the source was; color as fine and samples as deep as they were, as far as AVIF goes."""
    depth = AVIF_DEPTHS.get(raster.precision, MOST_AVIF_BITS) if raster.pixels.dtype == np.uint16 else 8
    options: dict[str, Any] = {"compression": "av1", "bitdepth": depth, "effort": AVIF_EFFORT, "keep": "none"}
    if raster.lossless:
        return options | {"lossless": True}
    return options | {"Q": quality, "subsample_mode": "off" if raster.full_chroma else "on"}


def _to_image(raster: Raster, to: ImageFormat, extra: Carried) -> Any:
    """A libvips image on the pixels as `to` stores them: turned, in its depth, color model and channels."""
    pixels: Pixels = raster.pixels
    if extra.orientation != raster.orientation:
        pixels = cast(Pixels, np.ascontiguousarray(raster.upright))
    if to in OF_8_BITS and pixels.dtype == np.uint16:
        pixels = _to_8_bits(pixels)
    height, width, bands = pixels.shape
    image = pyvips.Image.new_from_memory(pixels, width, height, bands, VIPS_FORMATS[pixels.dtype])
    wide = pixels.dtype == np.uint16
    meaning = {
        ColorModel.GRAY: "grey16" if wide else "b-w",
        ColorModel.RGB: "rgb16" if wide else "srgb",
        ColorModel.CMYK: "cmyk",
    }
    image = image.copy(interpretation=meaning[raster.color])
    if raster.alpha and to is ImageFormat.JPEG:
        image = image.flatten(background=[0.0 if raster.color is ColorModel.CMYK else 255.0])
    if extra.color is not raster.color:
        image = _to_srgb(image, raster, wide=wide)
    return image


def _to_srgb(image: Any, raster: Raster, *, wide: bool) -> Any:
    """`image` in sRGB by the profile of `raster`; without one, CMYK is taken as libvips' own and gray as it is."""
    profile = usable_profile(raster.icc, raster.color)
    if profile is None and raster.color is ColorModel.GRAY:
        return image.colourspace("rgb16" if wide else "srgb")
    image = image.copy()
    if profile is not None:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    options: dict[str, Any] = {"embedded": profile is not None, "intent": "relative", "black_point_compensation": True}
    if raster.color is ColorModel.CMYK:
        options["input_profile"] = "cmyk"
    try:
        return image.icc_transform("srgb", depth=16 if wide else 8, **options)
    except pyvips.Error:
        if raster.color is ColorModel.CMYK:
            raise
        return image.colourspace("rgb16" if wide else "srgb")  # a profile that is damaged inside


def _to_8_bits(pixels: Pixels) -> UInt8Image:
    """`pixels` (H, W, C) uint16 scaled to uint8 and rounded (PNG Third Edition §13.12), in strips to spare memory."""
    height, width, bands = pixels.shape
    narrow = np.empty(pixels.shape, np.uint8)
    rows = max(1, STRIP_PIXELS // (width * bands))
    for top in range(0, height, rows):
        strip = pixels[top : top + rows].astype(np.uint32)
        narrow[top : top + rows] = (strip * 255 + 32_895) >> 16
    return narrow
