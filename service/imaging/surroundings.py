"""The color of what can be seen beside a mask: what is shown inside may be made of it, as everybody knows it anyway."""

import numpy as np
import numpy.typing as npt

from service.imaging.color import to_rgb8
from service.imaging.detections import Float32
from service.imaging.outlines import Window
from service.imaging.raster import Raster

Windows = npt.NDArray[np.int64]

UNKNOWN = 128.0
"""8-bit value of each channel where nothing can be seen."""


def surroundings(raster: Raster, window: Window, hidden: Windows) -> Float32:
    """The mean color of the pixels right beside `window` that lie in no window of `hidden`: (3,) float32, 8-bit RGB.

    `hidden` (n, 4): what other masks are still to cover. Mid-gray where it leaves nothing, or the picture ends.
    """
    x1, y1, x2, y2 = max(window[0] - 1, 0), max(window[1] - 1, 0), window[2] + 1, window[3] + 1
    pixels = raster.upright[y1:y2, x1:x2]
    # A frame of one pixel, without the sides at which the picture ends.
    beside = np.ones(pixels.shape[:2], np.bool_)
    beside[window[1] - y1 : window[3] - y1, window[0] - x1 : window[2] - x1] = False
    near = (hidden[:, :2] < (x2, y2)).all(axis=1) & (hidden[:, 2:] > (x1, y1)).all(axis=1)
    for left, top, right, bottom in hidden[near].tolist():
        beside[max(top - y1, 0) : max(bottom - y1, 0), max(left - x1, 0) : max(right - x1, 0)] = False
    rows, columns = np.nonzero(beside)
    if not len(rows):
        return np.full(3, UNKNOWN, np.float32)
    mean: Float32 = to_rgb8(pixels[rows, columns][None], raster.color)[0].mean(axis=0, dtype=np.float32)
    return mean
