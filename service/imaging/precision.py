"""Samples of 10 or 12 bits, and of fewer than 8, in arrays of 8 and 16 bits."""

from typing import cast

import numpy as np

from service.imaging.raster import Pixels

BYTE = 8


def widen(pixels: Pixels, bits: int) -> Pixels:
    """`pixels` with samples of 0 to 2^`bits` - 1, spread over all that their dtype can hold; larger samples are cut.

    Shifting a result right by the bits that were added gives the samples back. As it came where there are none.
    """
    most = np.iinfo(pixels.dtype).max
    if bits == pixels.dtype.itemsize * BYTE:
        return pixels
    top = (1 << bits) - 1
    table = np.rint(np.arange(top + 1) * (most / top)).astype(pixels.dtype)
    return cast(Pixels, np.take(table, pixels, mode="clip"))
