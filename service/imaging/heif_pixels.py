"""Pixels out of HEIC by libde265 (pi-heif: decoders under the LGPL, no encoder) and out of AVIF by libvips."""

import logging
from typing import cast

import numpy as np
import pi_heif
import pyvips

from service.errors import CorruptImage
from service.imaging.containers import heif
from service.imaging.precision import widen
from service.imaging.raster import Pixels

BYTE, WIDE = 8, 16
DTYPES: dict[str, type[np.uint8] | type[np.uint16]] = {"uchar": np.uint8, "ushort": np.uint16}


def _set_up_pi_heif() -> None:
    """One thread a picture, as everywhere; nothing but the picture is looked at."""
    logging.getLogger("pi_heif").setLevel(logging.CRITICAL)
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False


_set_up_pi_heif()


def decode_heif(data: bytes) -> Pixels:
    """The picture of `data` as (H, W, C), cropped but not turned: gray or RGB, then alpha if there is one.

    10 and 12 bits are spread over 16. Premultiplied alpha is divided out. Raises CorruptImage.
    """
    still = heif.read_still(data)
    file = heif.pixels_only(data)
    pixels = _by_libvips(file) if still.color.is_av1 else _by_libde265(file)
    coded = still.color.coded
    height, width, bands = pixels.shape
    bits = BYTE if pixels.dtype == np.uint8 else WIDE
    has_alpha = bands in (2, 4)
    right = (width, height) == (still.color.width, still.color.height) and has_alpha == (still.alpha is not None)
    if not right or (bits == BYTE) != (coded.bit_depth == BYTE):
        raise CorruptImage(cause=f"decoder: {pixels.shape} {pixels.dtype}")
    left, top, stop, bottom = still.crop
    pixels = pixels[top:bottom, left:stop]
    if coded.monochrome and bands > 2:  # noqa: PLR2004 - both decoders may give gray as equal red, green and blue
        pixels = pixels[:, :, [0, *range(3, bands)]]
    if coded.bit_depth not in (BYTE, WIDE):
        pixels = widen(pixels >> np.uint16(WIDE - coded.bit_depth), coded.bit_depth)
    return _divided(pixels) if still.premultiplied else np.require(pixels, requirements=["C", "W"])


def _by_libvips(file: bytes) -> Pixels:
    try:
        image = pyvips.Image.heifload_buffer(file, access="sequential", memory=True, fail_on="warning")
        if image.format not in DTYPES:
            raise CorruptImage(cause=f"decoder: {image.format}")
        memory = image.write_to_memory()
    except pyvips.Error as error:
        raise CorruptImage(cause=f"decoder: {error.detail[:500]}") from None
    return cast(Pixels, np.ndarray((image.height, image.width, image.bands), DTYPES[image.format], memory))


def _by_libde265(file: bytes) -> Pixels:
    try:
        image = pi_heif.open_heif(file, convert_hdr_to_8bit=False)[0]
        memory, (width, height) = image.data, image.size
        bands, wide = len(image.mode.partition(";")[0]), ";" in image.mode
        rows = np.frombuffer(memory, np.uint16 if wide else np.uint8).reshape(height, -1)
        # A copy, as the memory belongs to `image` and nothing else keeps it.
        pixels = rows[:, : width * bands].reshape(height, width, bands).copy()
        del image
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError) as error:
        raise CorruptImage(cause=f"decoder: {str(error)[:500]}") from None
    return cast(Pixels, pixels)


def _divided(pixels: Pixels) -> Pixels:
    """`pixels` with colors that were multiplied by alpha divided by it again; where alpha is 0 they stay 0."""
    most = np.iinfo(pixels.dtype).max
    alpha = pixels[:, :, -1:].astype(np.float32)
    colors = pixels[:, :, :-1] * (most / np.maximum(alpha, 1))
    colors = np.minimum(np.rint(colors), most).astype(pixels.dtype)
    return cast(Pixels, np.ascontiguousarray(np.concatenate([colors, pixels[:, :, -1:]], axis=2)))
