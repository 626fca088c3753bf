"""The layers of a cover as one.

Laid over one another (Porter and Duff 1984, "over", premultiplied), they are one paint and one weight, and the picture
shows paint + (1 - weight) × what was there. Whoever has something else there, such as the component planes of a JPEG,
can composite as well: all of it is linear.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from service.imaging.detections import Float32
from service.imaging.layers import Cover
from service.imaging.outlines import Bools, Window, common


@dataclass(frozen=True, slots=True)
class Overlay:
    """What lies over one window.

    `paint`: (channels + 1, h, w) float32, colors times their weight, and at last the weight, 0..1. `hidden`: (h, w)
    bool, where nothing of the picture shows.
    """

    paint: Float32
    hidden: Bools


def overlay(cover: Cover, window: Window) -> Overlay:
    """All layers of `cover` in `window`, x1, y1, x2, y2 in upright pixels."""
    left, top, right, bottom = window
    shape = (bottom - top, right - left)
    paint = np.zeros((cover.raster.color.channels + 1, *shape), np.float32)
    hidden = np.zeros(shape, np.bool_)
    laid: list[Window] = []
    for layer in cover.layers:
        if not _meet(layer.window, window):
            continue
        x1, y1, x2, y2 = part = common(layer.window, window)
        place = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
        alpha = cover.mask.alpha(layer.region, part)
        shown = layer.part(part)
        if any(_meet(part, each) for each in laid):
            paint[:, *place] *= 1 - alpha
        for plane, color in zip(paint[:-1], cv2.split(shown), strict=True):
            plane[place] += color * alpha
        paint[-1][place] += alpha
        hidden[place] |= alpha == 1
        laid.append(part)
    return Overlay(paint, hidden)


def _meet(one: Window, other: Window) -> bool:
    x1, y1, x2, y2 = common(one, other)
    return x1 < x2 and y1 < y2
