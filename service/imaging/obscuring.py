"""The pixels behind a mask, replaced by the layers that lie over them.

A layer has full weight in the core of its region and fades over its feather, outside of it.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from service.imaging.cells import enlarge
from service.imaging.detections import Float32
from service.imaging.layers import SEAL, Cover, Layer, cover
from service.imaging.masking import Mask
from service.imaging.raster import Pixels, Raster

BAND_PIXELS = 100_000
"""Pixels that are composited at a time: what is blended stays in the processor's cache, and memory is bounded."""

BAND_ROWS = 64
"""Rows of a band at least: a polygon's feather has to look at the rows above and below it, too."""


@dataclass(frozen=True, slots=True)
class Composite(Cover):
    """A cover, and in `raster` the picture with it over it. Only `obscure` makes one, and only it can be encoded."""


def obscure(raster: Raster, mask: Mask, secret: bytes) -> Composite:
    """`raster` with every region of `mask` made unrecognizable, in place: the raster is used up.

    Raises ValueError as `cover` does, and if the pixels are read-only.
    """
    over = cover(raster, mask, secret)
    for layer in over.layers:
        _composite(raster, mask, layer, _shown(raster, layer))
    return Composite(raster, mask, over.layers, SEAL)


def _shown(raster: Raster, layer: Layer) -> Pixels:
    """What `layer` shows in its window: (h, w, C), with alpha if the raster has it."""
    x1, y1, x2, y2 = layer.window
    left, top, right, bottom = layer.frame
    shown = enlarge(layer.cells, (right - left, bottom - top), smooth=layer.smooth)[
        y1 - top : y2 - top, x1 - left : x2 - left
    ]
    if not raster.alpha:
        return shown
    opacity = round(layer.opacity * float(np.iinfo(shown.dtype).max))
    return np.dstack([shown, np.full(shown.shape[:2], opacity, shown.dtype)])


def _composite(raster: Raster, mask: Mask, layer: Layer, shown: Pixels) -> None:
    """Writes `shown` into the layer's window of `raster` as far as the mask covers it."""
    x1, y1, x2, y2 = layer.window
    rows = max(BAND_ROWS, BAND_PIXELS // (x2 - x1))
    for top in range(y1, y2, rows):
        bottom = min(top + rows, y2)
        alpha = mask.alpha(layer.region, (x1, top, x2, bottom))
        target = raster.upright[top:bottom, x1:x2]
        target[:] = _blend(shown[top - y1 : bottom - y1], target, alpha)


def _blend(over: Pixels, under: Pixels, alpha: Float32) -> Pixels:
    """`over` where `alpha` (h, w) is 1, `under` where it is 0, each exactly."""
    if under.dtype == np.uint8:
        mixed = cv2.blendLinear(np.ascontiguousarray(over), np.ascontiguousarray(under), alpha, 1 - alpha)
        return cast(Pixels, mixed.reshape(under.shape))
    weight = alpha[:, :, None]
    blended: Pixels = np.rint(under + weight * (over.astype(np.float32) - under)).astype(np.uint16)
    return blended
