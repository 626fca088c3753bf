"""The few numbers that a mask shows of what it hides, the secret noise on them, and how they are shown.

Cells are those of lattices that lie fixed in the picture: squares of 8, 16, 32, … pixels. An object is measured on the
finest lattice whose cells are coarse enough for it, so as strictly in a close-up as far away: a mean of luma per cell,
and of chroma per two by two of them, since on colored plates chroma follows the characters as luma does.
The means are rounded to coarse steps, brought most of the way to the color beside the mask, and noise is added; what is
shown is a function of these numbers alone, smoothed for the eye or as blocks. Gaussian blur and mosaics without noise
are not offered: both are read by comparing with blurred candidates (Hill et al., PETS 2016; McPherson et al., arXiv
1609.00408).

The lattices are fixed so that other options, thresholds or boxes measure no other cells: whoever gets several results
of one picture has the same numbers with the same noise again, where cells that moved with the box would have given him
new samples to average, and shifted ones to sharpen.

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

MIN_CELL = 8
"""Side of the finest lattice's cells in pixels; see above."""

ELONGATED = 2
"""Cells over the long side of an outline, at most, per cell over the short side."""

CHROMA_CELLS = 2
"""Cells over the side of a square that shares its chroma."""

LUMA_NOISE, CHROMA_NOISE = 30.0, 4.0
"""Standard deviation of the noise per cell, in 8-bit units; holds against an attacker who knows all but the noise."""

SHARE = 1 / 8
"""Of the means in what is shown; the rest is the color beside the mask, which everybody sees anyway. To the eye it is
the same blur; to an attacker the noise is eight times as strong."""

LUMA_STEP, CHROMA_STEP = 8, 4
"""What means are rounded to, so that a picture that was compressed again mostly meets the same noise."""

CB, CR = 1.772, 1.402
"""B - Y per Cb and R - Y per Cr, ITU-R BT.601."""

SMOOTH = 8
"""Samples per cell at which cells are smoothed before they are enlarged."""

SMOOTHING = 0.4
"""Standard deviation of the smoothing, in cells: enough that no grid is seen, little enough that some light is."""


ENLARGED_WHOLE = 4_000_000
"""Pixels; up to here a part is cut from the whole, which is quicker than computing the part alone."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells that a region is measured in: `columns` × `rows` over `window`, which is upright pixels."""

    window: Window
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


def grid(region: Region, width: int, height: int) -> Grid:
    """The cells that `region` touches, in a picture of `width` × `height` upright pixels; it must touch the picture.

    From the size of the whole outline: an object cut by the border gets fewer cells, not finer ones.
    """
    x1, y1, x2, y2 = region.outline.outer
    short, long = sorted((x2 - x1, y2 - y1))
    side = max(short / region.cells, long / (ELONGATED * region.cells), MIN_CELL) * region.strength
    pitch = MIN_CELL << math.ceil(math.log2(side / MIN_CELL))
    shared = pitch * CHROMA_CELLS
    left, right = _aligned(max(x1, 0), min(x2, width), shared, width)
    top, bottom = _aligned(max(y1, 0), min(y2, height), shared, height)
    across, down = right - left, bottom - top
    return Grid(
        (left, top, right, bottom),
        max(1, across // pitch),
        max(1, down // pitch),
        max(1, across // shared),
        max(1, down // shared),
    )


def _aligned(low: int, high: int, step: int, side: int) -> tuple[int, int]:
    """`low` and `high` moved outward to whole steps from the picture's near border, or from the far one beside it.

    So that no cell is narrower than a step. Where not even one step fits, or the object is as wide as the picture, it
    is all of `side`.
    """
    if -(-high // step) * step <= side:
        return low // step * step, -(-high // step) * step
    return max(0, side - -(-(side - low) // step) * step), side


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


def picture_secret(secret: bytes, file: bytes) -> bytes:
    """The secret of the noise in the picture that `file` holds, from that of the deployment.

    Without it whoever may send pictures could send some with known cells and learn the noise that others carry there.
    """
    return hashlib.blake2b(file, key=hashlib.blake2b(secret, digest_size=64).digest()).digest()


def disturb(means: Means, around: Float32, grid: Grid, secret: bytes, *, colored: bool) -> Means:
    """What is shown of `means`: `SHARE` of them, the rest `around`, and noise that `secret` gives each cell of `grid`.

    `around`: (3,) float32, the color of what can be seen beside the mask. Chroma gets noise only if `colored`.

    A keyed function of the cell's place, size and mean: the same cell always gets the same noise, and asking again
    gains nothing; another content gets another, so that differences show nothing either. It does not depend on the
    strength, or two strengths would tell noise and content apart.
    """
    key = hashlib.blake2b(secret, digest_size=64).digest()
    luma = _noise(key, grid.window, means.luma[:, :, None])[:, :, 0]
    chroma = _noise(key, grid.window, means.chroma)
    bright = around @ LUMA
    tint = np.array([(around[2] - bright) / CB, (around[0] - bright) / CR], np.float32)
    return Means(
        bright + (means.luma - bright) * np.float32(SHARE) + luma * np.float32(LUMA_NOISE),
        tint + (means.chroma - tint) * np.float32(SHARE) + chroma * np.float32(CHROMA_NOISE * colored),
    )


def _noise(key: bytes, window: Window, means: Float32) -> Float32:
    """Two standard normal numbers for each of `means` (rows, columns, n): (rows, columns, 2) float32.

    Box and Muller, 1958, over a keyed hash, not over a statistical generator: whoever learns some of the numbers learns
    none of the others.
    """
    rows, columns, channels = means.shape
    x1, y1, x2, y2 = window
    cells = np.empty((rows, columns, 4 + channels), "<i4")
    cells[:, :, 0], cells[:, :, 1] = (x2 - x1) // columns, (y2 - y1) // rows
    cells[:, :, 2] = x1 + np.arange(columns) * (x2 - x1) // columns
    cells[:, :, 3] = (y1 + np.arange(rows) * (y2 - y1) // rows)[:, None]
    cells[:, :, 4:] = means
    each = cells.reshape(rows * columns, -1)
    hashes = [hashlib.blake2b(cell.tobytes(), key=key, digest_size=16).digest() for cell in each]
    raw = np.frombuffer(b"".join(hashes), "<u8").reshape(rows, columns, 2)
    uniform = (raw.astype(np.float64) + 0.5) / 2.0**64
    radius, angle = np.sqrt(-2 * np.log(uniform[:, :, 0])), 2 * np.pi * uniform[:, :, 1]
    return np.dstack([radius * np.cos(angle), radius * np.sin(angle)]).astype(np.float32)


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
    channels = cells.shape[2]
    if not smooth:
        blocks = cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)
        return cast(Pixels, blocks.reshape(size[1], size[0], channels))
    large = cv2.resize(_smoothed(cells), size, interpolation=cv2.INTER_LINEAR)
    return cast(Pixels, large.reshape(size[1], size[0], channels))


def enlarge_part(cells: Pixels, size: tuple[int, int], part: Window, *, smooth: bool) -> Pixels:
    """`enlarge(cells, size)[y1:y2, x1:x2]` for `part` = x1, y1, x2, y2, give or take one in the last digit.

    Costs little time and memory where the part is small, too.
    """
    x1, y1, x2, y2 = part
    if size[0] * size[1] <= ENLARGED_WHOLE:
        return enlarge(cells, size, smooth=smooth)[y1:y2, x1:x2]
    if not smooth:
        rows, columns = cells.shape[:2]
        across, down = np.arange(x1, x2) * columns // size[0], np.arange(y1, y2) * rows // size[1]
        return cast(Pixels, cells[down][:, across])
    samples = _smoothed(cells).astype(np.float32)
    between = _between(_between(samples, size[1], y1, y2, 0), size[0], x1, x2, 1)
    return cast(Pixels, np.rint(between, out=between).astype(cells.dtype))


def _smoothed(cells: Pixels) -> Pixels:
    """`cells` with `SMOOTH` samples for each, per side, and no edges between them."""
    rows, columns, channels = cells.shape
    fine = cv2.resize(cells.astype(np.float32), (columns * SMOOTH, rows * SMOOTH), interpolation=cv2.INTER_LINEAR)
    fine = cv2.GaussianBlur(fine, (0, 0), SMOOTHING * SMOOTH, borderType=cv2.BORDER_REPLICATE)
    return cast(Pixels, np.rint(fine).astype(cells.dtype).reshape(rows * SMOOTH, columns * SMOOTH, channels))


def _between(samples: Float32, count: int, start: int, stop: int, axis: int) -> Float32:
    """Elements `start` to `stop` of `samples` stretched to `count` along `axis`, linearly, as cv2.resize does it."""
    last = samples.shape[axis] - 1
    at = np.clip((np.arange(start, stop, dtype=np.float32) + 0.5) * ((last + 1) / count) - 0.5, 0, last)
    low = at.astype(np.intp)
    share = (at - low).astype(np.float32)[:, None, None] if axis == 0 else (at - low).astype(np.float32)[:, None]
    below = samples.take(low, axis)
    between: Float32 = samples.take(np.minimum(low + 1, last), axis)
    between -= below
    between *= share
    between += below
    return between
