"""Tiles in which nothing can be found, by a bound on their content: no model need look at a clear sky."""

import cv2
import numpy as np

from service.imaging.raster import UInt8Image

NOISE = 3
"""Side in pixels of the means that are compared: single pixels differ by noise."""

REACH = 16
"""Side in pixels of the windows in which they are compared."""


def is_blank(tile: UInt8Image, limit: int) -> bool:
    """Whether gray differs by less than `limit` levels within each `REACH` × `REACH` window of `tile` (h, w, 3) RGB.

    Differences are those between means of `NOISE` × `NOISE` pixels. Never with a `limit` of 0. What the limit means for
    faces and plates was measured: docs/explanation/performance.md.
    """
    if limit <= 0:
        return False
    gray = cv2.blur(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), (NOISE, NOISE))
    window = np.ones((REACH, REACH), np.uint8)
    return int(cv2.subtract(cv2.dilate(gray, window), cv2.erode(gray, window)).max()) < limit
