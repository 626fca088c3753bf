"""What lies over a picture to hide something of it, and owes nothing to what it hides.

`blur` and `pixelate` show the cells of `cells.py`, the colors around the masks with secret noise, smoothly or as
blocks; `fill` shows a constant. No pixel of the picture that any mask changes is read for it, so what is shown would be
the same whatever is hidden.
"""

from dataclasses import InitVar, dataclass
from typing import Final

import numpy as np

from service.imaging.cells import enlarge_part, grid, paint
from service.imaging.color import from_rgb8
from service.imaging.masking import Mask, Region
from service.imaging.outlines import Window
from service.imaging.raster import ColorModel, Pixels, Raster
from service.imaging.surroundings import UNKNOWN, Surroundings, surroundings
from service.policy import Obscure

GRAY = 128
"""What `fill` shows, in 8-bit RGB."""


class Seal:
    """Only this module and `obscuring` have one."""


SEAL: Final = Seal()


@dataclass(frozen=True, slots=True)
class Layer:
    """What one region shows: `cells` (rows, columns, color channels), enlarged over `frame`.

    `window`: what the region may change, not empty. It lies in `frame`, whose edges are those of cells: see `part`.
    `opacity`: 0..1, what alpha shows.
    """

    region: Region
    window: Window
    frame: Window
    cells: Pixels
    opacity: float = 1.0

    def part(self, window: Window) -> Pixels:
        """What is shown in `window`, inside `frame`, in upright pixels: (h, w, C)."""
        x1, y1, x2, y2 = self.frame
        place = (window[0] - x1, window[1] - y1, window[2] - x1, window[3] - y1)
        return enlarge_part(self.cells, (x2 - x1, y2 - y1), place, smooth=self.smooth)

    @property
    def smooth(self) -> bool:
        return self.region.obscure is Obscure.BLUR


@dataclass(frozen=True, slots=True)
class Cover:
    """All that is to lie over one picture. Only `cover` makes one.

    `raster`: the picture, of whose pixels nothing need be left. `layers`: the undermost first; with `mask`, all that
    the picture is to be changed by.
    """

    raster: Raster
    mask: Mask
    layers: tuple[Layer, ...]
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        if seal is not SEAL:
            raise TypeError(f"only cover() and obscure() make a {type(self).__name__}")

    @property
    def windows(self) -> tuple[Window, ...]:
        """x1, y1, x2, y2 in upright pixels; outside of them nothing changes."""
        return tuple(sorted({layer.window for layer in self.layers}))


def cover(raster: Raster, mask: Mask, secret: bytes) -> Cover:
    """What makes every region of `mask` in `raster` unrecognizable; the cover keeps no pixel of it.

    The alpha channel could show what the colors no longer do, so inside a region it becomes the mean of what is seen
    around it (opaque for `fill`); an opaque picture stays opaque.

    Raises ValueError if the mask is for a picture of another size or the secret is empty.
    """
    if (mask.width, mask.height) != (raster.width, raster.height):
        raise ValueError("the mask is for a picture of another size")
    if not secret:
        raise ValueError("the noise needs a secret")
    placed = [(region, mask.window(region)) for region in sorted(mask.regions, key=_order)]
    placed = [(region, window) for region, window in placed if window[0] < window[2] and window[1] < window[3]]
    around = surroundings(raster, [window for _, window in placed])
    layers = tuple(_layer(raster, region, window, around, secret) for region, window in placed)
    return Cover(raster.without_pixels(), mask, layers, SEAL)


def _order(region: Region) -> tuple[float, ...]:
    """Large before small, so that each is seen; fills last, so that they are flat."""
    x1, y1, x2, y2 = region.outline.bounds
    return (region.obscure is Obscure.FILL, -(x2 - x1) * (y2 - y1), -x1, -y1, -x2, -y2)


def _layer(raster: Raster, region: Region, window: Window, around: Surroundings, secret: bytes) -> Layer:
    """What `region` shows, of what is seen `around` all masks."""
    if region.obscure is Obscure.FILL:
        gray = from_rgb8(np.full((1, 1, 3), GRAY, np.uint8), raster.color, raster.pixels.dtype)
        return Layer(region, window, window, gray)
    cells = grid(region, raster.width, raster.height)
    beside = around.over(cells.window, cells.columns, cells.rows)
    colors = paint(beside[:, :, :3], cells, secret, colored=raster.color is not ColorModel.GRAY)
    opacity = float(beside[:, :, 3].mean()) / UNKNOWN[3]
    return Layer(region, window, cells.window, from_rgb8(colors, raster.color, raster.pixels.dtype), opacity)
