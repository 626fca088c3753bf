"""What can be seen around the masks of a picture, as a coarse picture without gaps: masks are made of it.

Every pixel that any mask may change is left out, and with it the whole square of the file's grid in which it lies. A
JPEG's decoder makes all pixels of such a square of the same numbers, and those depend on what is hidden in it. So what
is seen here, everybody sees in the finished picture.

The gaps are filled by pull and push (Gortler et al. 1996, The Lumigraph, §3.4): from means over ever larger squares, as
large as they must be to hold something that is seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from service.imaging.color import to_rgb8
from service.imaging.detections import Float32
from service.imaging.outlines import Bools, Window
from service.imaging.raster import Pixels, Raster, upright_view
from service.imaging.turning import TRANSPOSED, to_stored

CELL = 16
"""Pixels over the side of a square of the coarse picture."""

SAMPLED = 4
"""Pixels over the side of what is looked at of it, in its middle: decoders smooth color over the borders of squares."""

UNIT = 32
"""Pixels over the side of what is left out together: the largest MCU (ITU-T T.81 §A.2) that JPEGs have in practice."""

UNKNOWN = (128.0, 128.0, 128.0, 255.0)
"""R, G, B and opacity in 8 bits where nothing can be seen."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`colors` (rows, columns, 4) float32: R, G, B and opacity in 8 bits, of squares of `CELL` pixels, as stored.

    `orientation`, `width` and `height`, in upright pixels, are those of the picture.
    """

    colors: Float32
    orientation: int
    width: int
    height: int

    def over(self, window: Window, columns: int, rows: int) -> Float32:
        """The colors at the middles of `columns` × `rows` cells over `window`, all upright: (rows, columns, 4)."""
        x1, y1, x2, y2 = to_stored(window, self.orientation, self.width, self.height)
        across, down = (rows, columns) if self.orientation in TRANSPOSED else (columns, rows)
        x, y = np.meshgrid(_middles(x1, x2, across), _middles(y1, y2, down))
        stored = cv2.remap(self.colors, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return cast(Float32, upright_view(cast(Pixels, stored), self.orientation))


def surroundings(raster: Raster, windows: Iterable[Window]) -> Surroundings:
    """What can be seen of `raster` outside of `windows`, x1, y1, x2, y2 in upright pixels and not empty."""
    width, height = raster.width, raster.height
    colors = _means(raster)
    seen = np.ones(colors.shape[:2], np.bool_)
    for window in windows:
        x1, y1, x2, y2 = to_stored(window, raster.orientation, width, height)
        seen[_cells(y1, y2), _cells(x1, x2)] = False
    return Surroundings(_filled(colors, seen), raster.orientation, width, height)


def _means(raster: Raster) -> Float32:
    """R, G, B and opacity of each square whose middle lies in the picture: (rows, columns, 4); one if none does."""
    y, x = (_sampled(side) for side in raster.pixels.shape[:2])
    samples = raster.pixels[y[:, None], x]
    if not samples.size:
        return np.full((1, 1, 4), UNKNOWN, np.float32)
    opacity = np.full(samples.shape[:2], UNKNOWN[3], np.float32)
    if raster.alpha:
        opacity = samples[:, :, -1] * np.float32(UNKNOWN[3] / np.iinfo(samples.dtype).max)
    fine = np.dstack([to_rgb8(samples, raster.color).astype(np.float32), opacity])
    size = (len(x) // SAMPLED, len(y) // SAMPLED)
    return cast(Float32, cv2.resize(fine, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], 4))


def _sampled(side: int) -> npt.NDArray[np.intp]:
    """Where the samples of whole middles lie along a side of so many pixels."""
    first = (CELL - SAMPLED) // 2
    starts = np.arange(first, side - SAMPLED + 1, CELL)
    return (starts[:, None] + np.arange(SAMPLED)).ravel()


def _cells(low: int, high: int) -> slice:
    """The cells of the units that the pixels from `low` to `high` touch."""
    return slice(low // UNIT * (UNIT // CELL), -(-high // UNIT) * (UNIT // CELL))


def _middles(low: int, high: int, count: int) -> Float32:
    """The middles of `count` cells from `low` to `high`, in cells of the coarse picture."""
    middles: Float32 = ((low + (np.arange(count) + 0.5) * (high - low) / count) / CELL - 0.5).astype(np.float32)
    return middles


def _filled(colors: Float32, seen: Bools) -> Float32:
    """`colors` (rows, columns, 4) where they are `seen` (rows, columns), and what is around them elsewhere."""
    if seen.all():
        return colors
    rows, columns = seen.shape
    if not seen.any():
        return np.full_like(colors, UNKNOWN)
    odd = (0, rows % 2, 0, columns % 2)
    weight = cv2.copyMakeBorder(seen.astype(np.float32), *odd, cv2.BORDER_CONSTANT)
    sums = cv2.copyMakeBorder(np.where(seen[:, :, None], colors, 0), *odd, cv2.BORDER_CONSTANT)
    size = (weight.shape[1] // 2, weight.shape[0] // 2)
    fewer = cv2.resize(weight, size, interpolation=cv2.INTER_AREA).reshape(size[::-1])
    means = cv2.resize(sums, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], 4)
    means /= np.maximum(fewer, np.float32(1e-3))[:, :, None]
    coarse = cv2.resize(_filled(means, fewer > 0), weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(seen[:, :, None], colors, coarse[:rows, :columns])
