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

BESIDE = UNIT
"""Pixels around a mask that are looked at for its colors, at least."""

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
        at = np.empty((2, down, across), np.float32)
        at[0], at[1] = _middles(x1, x2, across), _middles(y1, y2, down)[:, None]
        stored = cv2.remap(self.colors, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return cast(Float32, upright_view(cast(Pixels, stored), self.orientation))


def surroundings(raster: Raster, windows: Iterable[Window]) -> Surroundings:
    """What can be seen of `raster` beside `windows`, x1, y1, x2, y2 in upright pixels and not empty."""
    rows, columns = (_squares(side) for side in raster.pixels.shape[:2])
    seen = np.zeros((max(rows, 1), max(columns, 1)), np.bool_)
    hidden = [to_stored(window, raster.orientation, raster.width, raster.height) for window in windows]
    for x1, y1, x2, y2 in hidden:
        seen[_cells(y1 - BESIDE, y2 + BESIDE), _cells(x1 - BESIDE, x2 + BESIDE)] = rows > 0 < columns
    for x1, y1, x2, y2 in hidden:
        seen[_cells(y1, y2), _cells(x1, x2)] = False
    colors = np.full((*seen.shape, 4), UNKNOWN, np.float32)
    if seen.any():
        colors[seen] = _means(raster, *np.nonzero(seen))
    return Surroundings(_filled(colors, seen), raster.orientation, raster.width, raster.height)


def _squares(side: int) -> int:
    """The squares along a side of so many pixels whose middles lie in it."""
    return max(0, (side - (CELL + SAMPLED) // 2) // CELL + 1)


def _means(raster: Raster, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Float32:
    """R, G, B and opacity in the middles of the squares at `rows` and `columns`, (n,) each: (n, 4)."""
    y, x = ((each * CELL + (CELL - SAMPLED) // 2)[:, None] + np.arange(SAMPLED) for each in (rows, columns))
    samples = raster.pixels[y[:, :, None], x[:, None, :]].reshape(len(rows), SAMPLED**2, -1)
    means = np.full((len(rows), 4), UNKNOWN, np.float32)
    means[:, :3] = to_rgb8(samples, raster.color).mean(axis=1, dtype=np.float32)
    if raster.alpha:
        means[:, 3] = samples[:, :, -1].mean(axis=1, dtype=np.float32) * (UNKNOWN[3] / np.iinfo(samples.dtype).max)
    return means


def _cells(low: int, high: int) -> slice:
    """The cells of the units that the pixels from `low` to `high` touch."""
    return slice(max(low // UNIT, 0) * (UNIT // CELL), -(-high // UNIT) * (UNIT // CELL))


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
    means = means / np.maximum(fewer, np.float32(1e-3))[:, :, None]
    coarse = cv2.resize(_filled(cast(Float32, means), fewer > 0), weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(seen[:, :, None], colors, coarse[:rows, :columns])
