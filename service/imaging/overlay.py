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


def lay(over: Overlay, cover: Cover, window: Window) -> None:
    """Puts all layers of `cover` in `window`, x1, y1, x2, y2 in upright pixels, into `over`.

    `over` has the size of `window` and is all zeros.
    """
    left, top, _, _ = window
    laid: list[Window] = []
    for layer in cover.layers:
        if not _meet(layer.window, window):
            continue
        x1, y1, x2, y2 = part = common(layer.window, window)
        place = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
        alpha = cover.mask.alpha(layer.region, part)
        colors = cv2.split(layer.part(part))
        *planes, weight = (plane[place] for plane in over.paint)
        if any(_meet(part, each) for each in laid):
            for each in (*planes, weight):
                each[:] = each * (1 - alpha)
            for plane, color in zip(planes, colors, strict=True):
                plane[:] = plane + color * alpha
            weight[:] = weight + alpha
        else:
            for plane, color in zip(planes, colors, strict=True):
                np.multiply(color, alpha, out=plane)
            weight[:] = alpha
        over.hidden[place] |= alpha == 1
        laid.append(part)


def _meet(one: Window, other: Window) -> bool:
    # Asked for each layer and each part of a picture: `common` would take most of a small part's time.
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
