"""The C library's own memory: what a codec freed, given back to the system."""

import ctypes
import functools
from collections.abc import Callable

LARGE = 64 * 1024 * 1024
"""Bytes of a raster from which on it is worth the milliseconds."""


def give_back(raster: int) -> None:
    """Returns freed memory to the system after a raster of so many bytes was decoded, if it is a large one.

    Decoding 134 megapixels leaves 150 MB of free blocks in glibc's heaps, beside what the search needs next. Other C
    libraries have nothing to call (malloc_trim(3)).
    """
    trim = _trim()
    if raster >= LARGE and trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
