"""Pixels out of BMP files and into them: arrays and bit masks, and OpenCV where the rows are run-length encoded."""

from typing import cast

import cv2
import numpy as np

from service.errors import CorruptImage
from service.imaging.containers import bmp
from service.imaging.metadata import Carried
from service.imaging.precision import widen
from service.imaging.raster import ColorModel, UInt8Image

BGR, BGRA = (2, 1, 0), (2, 1, 0, 3)


def decode_bmp(data: bytes) -> UInt8Image:
    """The picture as (H, W, C) uint8: gray, RGB or RGBA. Raises CorruptImage."""
    layout = bmp.read_layout(data)
    if layout.compression in bmp.RUN_LENGTHS:
        return _decode_runs(data, layout)
    rows = np.frombuffer(data, np.uint8, layout.stride * layout.height, layout.offset)
    rows = rows.reshape(layout.height, layout.stride)
    if not layout.top_down:
        rows = rows[::-1]
    return _indexed(rows, layout) if layout.palette else _direct(rows, layout)


def encode_bmp(pixels: UInt8Image, color: ColorModel, extra: Carried) -> bytes:
    """`pixels` (H, W, C) gray, RGB or RGBA, upright, as a finished file with the density and the profile of `extra`."""
    height, width, bands = pixels.shape
    bits = bmp.written_bits(color, alpha=bands > color.channels)
    stride = (width * bits + 31) // 32 * 4
    rows = np.zeros((height, stride), np.uint8)
    for to, band in enumerate({1: (0,), 3: BGR, 4: BGRA}[bands]):
        rows[:, to : width * bands : bands] = pixels[::-1, :, band]
    return b"".join((bmp.written_head(extra, bits), rows.tobytes(), extra.icc or b""))


def _indexed(rows: UInt8Image, layout: bmp.Layout) -> UInt8Image:
    if layout.bits == 1:
        index = np.unpackbits(rows, axis=1)
    elif layout.bits == 4:  # noqa: PLR2004
        index = np.dstack([rows >> 4, rows & 15]).reshape(layout.height, -1)
    else:
        index = rows
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(layout.palette)] = layout.palette
    return palette[index[:, : layout.width]][:, :, : 1 if layout.gray else 3].copy()


def _direct(rows: UInt8Image, layout: bmp.Layout) -> UInt8Image:
    size = layout.bits // 8
    flat = np.ascontiguousarray(rows[:, : layout.width * size])
    if layout.masks == bmp.DIRECT[32] and size > 2:  # noqa: PLR2004 - whole bytes
        return np.ascontiguousarray(flat.reshape(layout.height, layout.width, size)[:, :, BGR])
    packed = flat.view("<u2" if size == 2 else "<u4").reshape(layout.height, layout.width)  # noqa: PLR2004
    bands = [mask for mask in layout.masks if mask]
    pixels = np.empty((layout.height, layout.width, len(bands)), np.uint8)
    for band, mask in enumerate(bands):
        low = mask & -mask
        samples = ((packed & mask) >> (low.bit_length() - 1)).astype(np.uint8)
        pixels[:, :, band] = widen(samples, (mask // low).bit_length())
    return pixels


def _decode_runs(data: bytes, layout: bmp.Layout) -> UInt8Image:
    """OpenCV gets a file that was made anew; pixels that no run covers have the first color."""
    try:
        found = cv2.imdecode(np.frombuffer(bmp.run_length_file(data, layout), np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise CorruptImage(cause=f"decoder: {error.err}") from None
    if found is None or found.shape != (layout.height, layout.width, 3):
        raise CorruptImage(cause="decoder: no picture of that size")
    return cast(UInt8Image, np.ascontiguousarray(found[:, :, (0,) if layout.gray else BGR]))
