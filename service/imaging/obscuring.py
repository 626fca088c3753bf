"""The pixels behind a mask, replaced by what can never be turned back into them.

`blur` and `pixelate` show the noisy cells of `cells.py`, smoothly or as blocks; `fill` shows a constant and depends on
nothing. The obscured picture has full weight in the core of a region and fades over its feather, outside of it.
"""

from dataclasses import InitVar, dataclass
from typing import Final, cast

import cv2
import numpy as np

from service.imaging.cells import disturb, enlarge, grid, measure, paint
from service.imaging.color import from_rgb8, to_rgb8
from service.imaging.detections import Float32
from service.imaging.masking import Mask, Region
from service.imaging.outlines import Window
from service.imaging.raster import ColorModel, Pixels, Raster
from service.policy import Obscure

GRAY = 128
"""What `fill` shows, in 8-bit RGB."""

BAND_PIXELS = 100_000
"""Pixels that are composited at a time: what is blended stays in the processor's cache, and memory is bounded."""

BAND_ROWS = 64
"""Rows of a band at least: a polygon's feather has to look at the rows above and below it, too."""


class _Seal:
    """Only this module has one."""


_SEAL: Final = _Seal()


@dataclass(frozen=True, slots=True)
class Composite:
    """A raster with everything that its mask names hidden. Only `obscure` makes one, and only it can be encoded.

    `windows`: x1, y1, x2, y2 in upright pixels; outside of them nothing has changed.
    """

    raster: Raster
    windows: tuple[Window, ...]
    seal: InitVar[_Seal]

    def __post_init__(self, seal: _Seal) -> None:
        if seal is not _SEAL:
            raise TypeError("only obscure() makes a Composite")


def obscure(raster: Raster, mask: Mask, secret: bytes) -> Composite:
    """`raster` with every region of `mask` made unrecognizable, in place: the raster is used up.

    The alpha channel could show what the colors no longer do, so inside a region it becomes the region's mean (opaque
    for `fill`); an opaque picture stays opaque. Colors under transparent pixels are obscured like all others.

    Raises ValueError if the mask is for a picture of another size, the secret is empty or the pixels are read-only.
    """
    if (mask.width, mask.height) != (raster.width, raster.height):
        raise ValueError("the mask is for a picture of another size")
    if not secret:
        raise ValueError("the noise needs a secret")
    for region in _order(mask.regions):
        window = mask.window(region)
        if window[0] < window[2] and window[1] < window[3]:
            _composite(raster, mask, region, window, _shown(raster, region, window, secret))
    windows = {mask.window(region) for region in mask.regions}
    return Composite(raster, tuple(sorted(w for w in windows if w[0] < w[2] and w[1] < w[3])), _SEAL)


def _order(regions: tuple[Region, ...]) -> list[Region]:
    """Large before small, each measuring what is composited already, so that no overlap reveals anything.

    Fills come first, so that no other region measures what they hide, and once more at the end, so that they are flat.
    """
    ordered = sorted(regions, key=_size, reverse=True)
    fills = [r for r in ordered if r.obscure is Obscure.FILL]
    others = [r for r in ordered if r.obscure is not Obscure.FILL]
    return [*fills, *others, *fills] if others else fills


def _size(region: Region) -> tuple[float, ...]:
    x1, y1, x2, y2 = region.outline.bounds
    return ((x2 - x1) * (y2 - y1), x1, y1, x2, y2)


def _shown(raster: Raster, region: Region, window: Window, secret: bytes) -> Pixels:
    """What `region` shows: (h, w, C), with alpha if the raster has it."""
    x1, y1, x2, y2 = window
    pixels = raster.upright[y1:y2, x1:x2]
    size = (x2 - x1, y2 - y1)
    alpha = pixels[:, :, -1] if raster.alpha else None
    if region.obscure is Obscure.FILL:
        cells = from_rgb8(np.full((1, 1, 3), GRAY, np.uint8), raster.color, pixels.dtype)
        opacity = float(np.iinfo(pixels.dtype).max)
    else:
        means = measure(to_rgb8(pixels, raster.color), grid(region, window))
        noisy = disturb(means, secret, window, region.strength, colored=raster.color is not ColorModel.GRAY)
        cells = from_rgb8(paint(noisy), raster.color, pixels.dtype)
        opacity = round(float(alpha.mean())) if alpha is not None else 0.0
    shown = enlarge(cells, size, smooth=region.obscure is Obscure.BLUR)
    if alpha is None:
        return shown
    return np.dstack([shown, np.full(alpha.shape, opacity, pixels.dtype)])


def _composite(raster: Raster, mask: Mask, region: Region, window: Window, shown: Pixels) -> None:
    """Writes `shown` into `window` of `raster` as far as the mask covers it."""
    x1, y1, x2, y2 = window
    rows = max(BAND_ROWS, BAND_PIXELS // (x2 - x1))
    for top in range(y1, y2, rows):
        bottom = min(top + rows, y2)
        alpha = mask.alpha(region, (x1, top, x2, bottom))
        target = raster.upright[top:bottom, x1:x2]
        target[:] = _blend(shown[top - y1 : bottom - y1], target, alpha)


def _blend(over: Pixels, under: Pixels, alpha: Float32) -> Pixels:
    """`over` where `alpha` (h, w) is 1, `under` where it is 0, each exactly."""
    if under.dtype == np.uint8:
        mixed = cv2.blendLinear(over, np.ascontiguousarray(under), alpha, 1 - alpha)
        return cast(Pixels, mixed.reshape(under.shape))
    weight = alpha[:, :, None]
    blended: Pixels = np.rint(under + weight * (over.astype(np.float32) - under)).astype(np.uint16)
    return blended
