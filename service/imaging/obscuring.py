"""The pixels behind a mask, replaced by what can never be turned back into them.

`blur` and `pixelate` show the noisy cells of `cells.py`, mostly in the color of the surroundings, smoothly or as
blocks; `fill` shows a constant and depends on nothing. The obscured picture has full weight in the core of a region
and fades over its feather, outside of it.
"""

from dataclasses import InitVar, dataclass
from typing import Final, cast

import cv2
import numpy as np

from service.imaging.cells import disturb, enlarge, enlarge_part, grid, measure, paint
from service.imaging.color import from_rgb8, to_rgb8
from service.imaging.detections import Float32
from service.imaging.masking import Mask, Region
from service.imaging.outlines import Window
from service.imaging.raster import ColorModel, Pixels, Raster
from service.imaging.surroundings import Windows, surroundings
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
class Layer:
    """What one region shows: `cells` (rows, columns, color channels), enlarged over `frame`.

    `window`: what the region may change, not empty. It lies in `frame`, whose edges are those of cells: see `part`.
    """

    region: Region
    window: Window
    frame: Window
    cells: Pixels

    def part(self, window: Window) -> Pixels:
        """What is shown in `window`, inside `frame`, in upright pixels: (h, w, C)."""
        x1, y1, x2, y2 = self.frame
        place = (window[0] - x1, window[1] - y1, window[2] - x1, window[3] - y1)
        return enlarge_part(self.cells, (x2 - x1, y2 - y1), place, smooth=self.smooth)

    @property
    def smooth(self) -> bool:
        return self.region.obscure is Obscure.BLUR


@dataclass(frozen=True, slots=True)
class Composite:
    """A raster with everything that its mask names hidden. Only `obscure` makes one, and only it can be encoded.

    `layers`: what lies over the picture, the undermost first; with `mask`, all that the raster was changed by.
    """

    raster: Raster
    mask: Mask
    layers: tuple[Layer, ...]
    seal: InitVar[_Seal]

    def __post_init__(self, seal: _Seal) -> None:
        if seal is not _SEAL:
            raise TypeError("only obscure() makes a Composite")

    def without_pixels(self) -> "Composite":
        """What `jpeg_patch` and `verify` need of it, without a picture's worth of memory; it cannot be encoded."""
        return Composite(self.raster.without_pixels(), self.mask, self.layers, _SEAL)

    @property
    def windows(self) -> tuple[Window, ...]:
        """x1, y1, x2, y2 in upright pixels; outside of them nothing has changed."""
        return tuple(sorted({layer.window for layer in self.layers}))


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
    layers = []
    ordered = _order(mask.regions)
    windows = np.array([mask.window(region) for region in ordered], np.int64).reshape(-1, 4)
    for i, region in enumerate(ordered):
        window = mask.window(region)
        if window[0] < window[2] and window[1] < window[3]:
            layer = _layer(raster, region, window, windows[i + 1 :], secret)
            _composite(raster, mask, layer, _shown(raster, layer))
            layers.append(layer)
    return Composite(raster, mask, tuple(layers), _SEAL)


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


def _layer(raster: Raster, region: Region, window: Window, to_come: Windows, secret: bytes) -> Layer:
    """`to_come`: the windows of the regions that are not composited yet."""
    if region.obscure is Obscure.FILL:
        gray = from_rgb8(np.full((1, 1, 3), GRAY, np.uint8), raster.color, raster.pixels.dtype)
        return Layer(region, window, window, gray)
    measured = grid(region, raster.width, raster.height)
    x1, y1, x2, y2 = measured.window
    means = measure(to_rgb8(raster.upright[y1:y2, x1:x2], raster.color), measured)
    around = surroundings(raster, window, to_come)
    noisy = disturb(means, around, measured, secret, colored=raster.color is not ColorModel.GRAY)
    return Layer(region, window, measured.window, from_rgb8(paint(noisy), raster.color, raster.pixels.dtype))


def _shown(raster: Raster, layer: Layer) -> Pixels:
    """What `layer` shows in its window: (h, w, C), with alpha if the raster has it."""
    x1, y1, x2, y2 = layer.window
    left, top, right, bottom = layer.frame
    shown = enlarge(layer.cells, (right - left, bottom - top), smooth=layer.smooth)[
        y1 - top : y2 - top, x1 - left : x2 - left
    ]
    if not raster.alpha:
        return shown
    filled = layer.region.obscure is Obscure.FILL
    alpha = raster.upright[top:bottom, left:right, -1]
    opacity = float(np.iinfo(shown.dtype).max) if filled else round(float(alpha.mean()))
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
