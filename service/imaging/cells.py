"""The few numbers that a mask shows of what it hides, the secret noise on them, and how they are shown.

A window is measured in cells relative to the object, so as strictly for a close-up as for a far one: a mean of luma per
cell, and of chroma in at most half as many per side, since on colored plates chroma follows the characters as luma
does. The means are rounded to coarse steps and noise is added; what is shown is a function of these numbers alone,
smoothed for the eye or as blocks. Gaussian blur and mosaics without noise are not offered: both are read by comparing
with blurred candidates (Hill et al., PETS 2016; McPherson et al., arXiv 1609.00408).

No cell is smaller than `MIN_CELL`: faces are recognized, by people and by networks, from about 16 pixels across, with
8 between the eyes, and characters are read from about 8 pixels of height. A cell of that size holds the two eyes, or
the whole character, of the smallest thing that identifies anybody, and leaves one number of it.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from service.imaging.color import LUMA
from service.imaging.detections import Float32
from service.imaging.masking import Region
from service.imaging.outlines import Window
from service.imaging.raster import Pixels, UInt8Image

MIN_CELL = 8.0
"""Shortest side of a cell in pixels; see above."""

MOST_CELLS = 8
"""Cells over the long side of an outline, at most."""

LUMA_NOISE, CHROMA_NOISE = 20.0, 2.0
"""Standard deviation of the noise per cell, in 8-bit units; holds against an attacker who knows all but the noise."""

LUMA_STEP, CHROMA_STEP = 8, 4
"""What means are rounded to, so that a picture that was compressed again mostly meets the same noise."""

CB, CR = 1.772, 1.402
"""B - Y per Cb and R - Y per Cr, ITU-R BT.601."""

SMOOTH = 8
"""Samples per cell at which cells are smoothed before they are enlarged."""

SMOOTHING = 0.4
"""Standard deviation of the smoothing, in cells: enough that no grid is seen, little enough that some light is."""


@dataclass(frozen=True, slots=True)
class Grid:
    """How many cells a window is measured in."""

    columns: int
    rows: int
    chroma_columns: int
    chroma_rows: int


@dataclass(frozen=True, slots=True)
class Means:
    """Everything that is learned of a window: `luma` (rows, columns) and `chroma` (chroma_rows, chroma_columns, 2).

    float32 in 8-bit units, multiples of the steps; chroma is Cb, Cr of ITU-R BT.601 around 0.
    """

    luma: Float32
    chroma: Float32


def grid(region: Region, window: Window) -> Grid:
    """The cells of `window`, from the size of the whole outline: an object cut by the border gets fewer, not finer."""
    x1, y1, x2, y2 = region.outline.outer
    short, long = sorted((x2 - x1, y2 - y1))
    side = max(short / region.cells, long / MOST_CELLS, MIN_CELL) * region.strength
    columns = max(1, math.floor((window[2] - window[0]) / side))
    rows = max(1, math.floor((window[3] - window[1]) / side))
    most_chroma = max(1, region.cells // 2)
    return Grid(columns, rows, min(most_chroma, max(1, columns // 2)), min(most_chroma, max(1, rows // 2)))


def measure(rgb: UInt8Image, grid: Grid) -> Means:
    """The rounded means of `rgb` (h, w, 3) uint8 over the cells of `grid`."""
    cells = cv2.resize(rgb, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    tints = cv2.resize(cells, (grid.chroma_columns, grid.chroma_rows), interpolation=cv2.INTER_AREA)
    tint_luma = tints @ LUMA
    chroma = np.dstack([(tints[:, :, 2] - tint_luma) / CB, (tints[:, :, 0] - tint_luma) / CR])
    return Means(
        np.rint(cells @ LUMA / LUMA_STEP) * np.float32(LUMA_STEP),
        np.rint(chroma / CHROMA_STEP) * np.float32(CHROMA_STEP),
    )


def disturb(means: Means, secret: bytes, window: Window, strength: float, *, colored: bool) -> Means:
    """`means` plus the noise that `secret` gives them in `window`, σ × `strength`; in chroma only if `colored`.

    A keyed function of the means and the window: the same region of the same picture always gets the same noise, and
    asking again gains nothing.
    """
    geometry = np.array([*window, *means.luma.shape])
    message = b"".join(part.astype(np.int64).tobytes() for part in (geometry, means.luma, means.chroma))
    noise = _normal(secret, message, means.luma.size + means.chroma.size)
    luma, chroma = np.split(noise, [means.luma.size])
    return Means(
        means.luma + luma.reshape(means.luma.shape) * np.float32(LUMA_NOISE * strength),
        means.chroma + chroma.reshape(means.chroma.shape) * np.float32(CHROMA_NOISE * strength * colored),
    )


def _normal(secret: bytes, message: bytes, count: int) -> Float32:
    """`count` standard normal numbers that only the holder of `secret` can tell for `message` (Box and Muller, 1958).

    A cryptographic stream, not a statistical generator: whoever learns some of the numbers learns none of the others.
    """
    key = hashlib.blake2b(secret, digest_size=64).digest()
    seed = hashlib.blake2b(message, key=key).digest()
    pairs = -(-count // 2)
    raw = np.frombuffer(hashlib.shake_256(seed).digest(16 * pairs), "<u8").reshape(2, pairs)
    uniform = (raw.astype(np.float64) + 0.5) / 2.0**64
    radius, angle = np.sqrt(-2 * np.log(uniform[0])), 2 * np.pi * uniform[1]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count].astype(np.float32)


def paint(means: Means) -> UInt8Image:
    """`means` as colors: (rows, columns, 3) uint8 RGB."""
    rows, columns = means.luma.shape
    tint = cv2.resize(means.chroma, (columns, rows), interpolation=cv2.INTER_LINEAR).reshape(rows, columns, 2)
    blue, red = tint[:, :, 0], tint[:, :, 1]
    green = means.luma - (LUMA[2] * CB * blue + LUMA[0] * CR * red) / LUMA[1]
    rgb = np.dstack([means.luma + CR * red, green, means.luma + CB * blue])
    painted: UInt8Image = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return painted


def enlarge(cells: Pixels, size: tuple[int, int], *, smooth: bool) -> Pixels:
    """`cells` (rows, columns, C) over `size` (w, h): smooth to the eye, or as flat blocks."""
    rows, columns, channels = cells.shape
    if not smooth:
        blocks = cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)
        return cast(Pixels, blocks.reshape(size[1], size[0], channels))
    fine = cv2.resize(cells.astype(np.float32), (columns * SMOOTH, rows * SMOOTH), interpolation=cv2.INTER_LINEAR)
    fine = cv2.GaussianBlur(fine, (0, 0), SMOOTHING * SMOOTH, borderType=cv2.BORDER_REPLICATE)
    large = cv2.resize(np.rint(fine).astype(cells.dtype), size, interpolation=cv2.INTER_LINEAR)
    return cast(Pixels, large.reshape(size[1], size[0], channels))
