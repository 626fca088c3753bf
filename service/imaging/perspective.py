"""Perspective views cut from a panorama: gnomonic projection, sampled from the level that is as fine as the view."""

import math
from functools import lru_cache
from typing import cast

import cv2
import numpy as np

from service.imaging.color import to_rgb8
from service.imaging.detections import Float32
from service.imaging.raster import ColorModel, UInt8Image
from service.imaging.sphere import Sphere
from service.imaging.sphere_views import PerspectiveView
from service.imaging.views import PAD, Pyramid

WIDEST = 32_000
"""Columns of one window that OpenCV can address; a coarser level is taken for more."""

MAPS = 8
"""Maps that are kept, 8 bytes per pixel of a tile: the views of a ring share one, and are cut one after the other."""


def perspective_tile(pyramid: Pyramid, view: PerspectiveView) -> UInt8Image:
    """What `view` shows of the panorama in `pyramid`: (height, width, 3) uint8 RGB; gray where the panorama ends.

    Memory beyond the tile: the window of the panorama that the view looks at, but where that is all around a pole, and
    the panorama's own memory can be sampled.
    """
    sphere = view.sphere
    level = max(0, math.floor(math.log2(sphere.resolution / view.resolution) + 1e-6))
    while sphere.full_width * 2.0**-level > WIDEST:
        level += 1
    turn = sphere.full_width * 2.0**-level
    east, y = sampling_map(view.latitude, view.resolution, view.width, view.height, level, sphere)
    x = east + np.float32((view.longitude + math.pi) / (2 * math.pi) * turn - sphere.left * 2.0**-level - 0.5)
    if float(x.max() - x.min()) > turn / 2:  # around a pole: every column
        x -= np.floor(x / np.float32(turn)) * np.float32(turn)
        ring = _ring(pyramid, level, y, round(turn))
        if ring is not None:
            first, rows = ring
            return cast(
                UInt8Image, cv2.remap(rows, x, y - np.float32(first), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            )
    left, right = math.floor(float(x.min())) - 1, math.ceil(float(x.max())) + 2
    top, bottom = math.floor(float(y.min())) - 1, math.ceil(float(y.max())) + 2
    window = _window(pyramid, level, (left, top, right, bottom), round(turn))
    x -= np.float32(left)
    shown = cv2.remap(window, x, y - np.float32(top), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cast(UInt8Image, shown)


@lru_cache(maxsize=MAPS)
def sampling_map(
    latitude: float, resolution: float, width: int, height: int, level: int, sphere: Sphere
) -> tuple[Float32, Float32]:
    """Where the pixels of a view lie on `level`: columns east of the middle, and rows, (height, width) each.

    Rows are those of pixels' middles, so the first is 0. Treat both as read-only.
    """
    u = (np.arange(width) + 0.5 - width / 2) / resolution
    v = (np.arange(height)[:, None] + 0.5 - height / 2) / resolution
    sin, cos = math.sin(latitude), math.cos(latitude)
    up, forward = sin - v * cos, cos + v * sin
    longitude = np.arctan2(np.broadcast_to(u, (height, width)), forward)
    east = longitude * (sphere.full_width * 2.0**-level / (2 * math.pi))
    above = np.arctan2(up, np.hypot(u, forward))
    rows = (math.pi / 2 - above) / math.pi * sphere.full_height * 2.0**-level - sphere.top * 2.0**-level - 0.5
    if sphere.top < 1:  # the pole itself: half a pixel above the first row's middle
        rows = np.maximum(rows, 0)
    if sphere.top + sphere.height > sphere.full_height - 1:
        rows = np.minimum(rows, -(-sphere.height // 2**level) - 1)
    return east.astype(np.float32), rows.astype(np.float32)


def _ring(pyramid: Pyramid, level: int, y: Float32, turn: int) -> tuple[int, UInt8Image] | None:
    """The rows that `y` looks at, all around, and the first one's number: not copied, or None if they have to be.

    Two windows around a pole would be a hundred megabytes of a picture of 16384 columns.
    """
    source = pyramid.level(level)
    first, last = math.floor(float(y.min())), math.ceil(float(y.max())) + 1
    if first < 0 or last > source.shape[0] or source.shape[1] != turn:
        return None
    rows = source[first:last]
    opaque = rows.shape[2] == ColorModel.RGB.channels and (level > 0 or pyramid.color is ColorModel.RGB)
    usable = opaque and rows.dtype == np.uint8 and rows.flags.c_contiguous
    return (first, cast(UInt8Image, rows)) if usable else None


def _window(pyramid: Pyramid, level: int, window: tuple[int, int, int, int], turn: int) -> UInt8Image:
    """`window` of `level`, RGB; columns a `turn` apart are the same, and what the panorama does not show is gray."""
    left, top, right, bottom = window
    source = pyramid.level(level)
    height, width = source.shape[:2]
    shown = np.full((bottom - top, right - left, 3), PAD, np.uint8)
    first, last = max(top, 0), min(bottom, height)
    if first >= last:
        return shown
    color = pyramid.color if level == 0 else ColorModel.RGB
    for turned in range(left // turn, right // turn + 1):
        begin, end = max(left, turned * turn), min(right, turned * turn + min(width, turn))
        if begin < end:
            part = source[first:last, begin - turned * turn : end - turned * turn]
            shown[first - top : last - top, begin - left : end - left] = to_rgb8(part, color)
    return shown
