"""Pictures stored as they are displayed, for readers that show pixels as stored whatever the orientation says."""

import struct
from dataclasses import replace
from typing import cast

import numpy as np

from service.imaging.containers.ifd import TiffReader
from service.imaging.exif_tags import ORIENTATION
from service.imaging.raster import Pixels, Raster

SHORT = 3


def store_upright(raster: Raster) -> Raster:
    """`raster` with its pixels stored upright and orientation 1; a copy, unless it is stored so already.

    Its EXIF says the same, and everything else as before: also what describes the pixels as they were stored, because
    those who ask for this compare every tag but the orientation.
    """
    if raster.orientation == 1:
        return raster
    across, down = raster.pixels_per_mm
    return replace(
        raster,
        pixels=cast(Pixels, np.ascontiguousarray(raster.upright)),
        orientation=1,
        pixels_per_mm=(across, down) if raster.orientation <= 4 else (down, across),  # noqa: PLR2004 - 5..8 swap axes
        exif=None if raster.exif is None else _with_orientation_1(raster.exif),
    )


def _with_orientation_1(exif: bytes) -> bytes:
    """`exif` (TIFF structure) whose entry for the orientation holds 1; as it is if it has none or is broken.

    Some formats say the orientation elsewhere.
    """
    try:
        reader = TiffReader(exif)
        entry = reader.directory(reader.first_offset).entries[ORIENTATION]
    except (ValueError, KeyError, struct.error):
        return exif
    if entry.type != SHORT or entry.at + 2 > len(exif):
        return exif
    return exif[: entry.at] + struct.pack(f"{reader.order}H", 1) + exif[entry.at + 2 :]
