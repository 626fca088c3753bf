"""Tiles turned by quarters, and boxes turned back: pixels only change places, so both are exact."""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from service.imaging.raster import UInt8Image

_ROTATIONS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def turned(tile: UInt8Image, quarters: int) -> UInt8Image:
    """`tile` (h, w, C) uint8, turned counterclockwise by `quarters` 1..3: C-contiguous, (w, h, C) where that is odd."""
    return cast(UInt8Image, cv2.rotate(tile, _ROTATIONS[quarters]))


def turned_back(boxes: npt.NDArray[np.float32], quarters: int, width: int, height: int) -> npt.NDArray[np.float32]:
    """`boxes` (…, 4) x1, y1, x2, y2 in pixels of a tile that `turned` made of one of `width` × `height`, in that one's.

    Raises ValueError if `quarters` is not 0..3.
    """
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    match quarters:
        case 0:
            return boxes
        case 1:
            sides = (width - y2, x1, width - y1, x2)
        case 2:
            sides = (width - x2, height - y2, width - x1, height - y1)
        case 3:
            sides = (y1, height - x2, y2, height - x1)
        case _:
            raise ValueError("a tile is turned by 0 to 3 quarters")
    return np.stack(sides, axis=-1)
