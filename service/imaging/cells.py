"""The cells of a mask: where they lie, the secret noise on them, and how they are shown.

A cell has the color of what can be seen around the mask (`surroundings.py`) and noise. Nothing in it comes from what it
hides: Gaussian blur and mosaics, which do show something of it, are read by comparing with blurred candidates (Hill et
al., PETS 2016; McPherson et al., arXiv 1609.00408), and noise on top only makes that harder.

Cells are those of lattices that lie fixed in the picture, squares of 8, 16, 32, … pixels: an object gets as few in a
close-up as far away, and the same ones whatever the options are, so that a mask looks alike in each of them.
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
"""Side of the finest lattice's cells in pixels."""

ELONGATED = 2
"""Cells over the long side of an outline, at most, per cell over the short side."""

CHROMA_CELLS = 2
"""Cells over the side of a square that shares its chroma."""

LUMA_NOISE, CHROMA_NOISE = 30.0, 4.0
"""Standard deviation of the noise per cell, in 8-bit units: that of a blurred face, about, so that a mask looks so."""

CB, CR = 1.772, 1.402
"""B - Y per Cb and R - Y per Cr, ITU-R BT.601."""

SMOOTH = 8
"""Samples per cell at which cells are smoothed before they are enlarged."""

SMOOTHING = 0.4
"""Standard deviation of the smoothing, in cells: enough that no grid is seen, little enough that the noise is."""

ENLARGED_WHOLE = 4_000_000
"""Pixels; up to here a part is cut from the whole, which is quicker than computing the part alone."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a region: `columns` × `rows` over `window`, which is upright pixels; fewer share their chroma."""

    window: Window
    columns: int
    rows: int
    chroma_columns: int
    chroma_rows: int


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


def picture_secret(secret: bytes, file: bytes) -> bytes:
    """The secret of the noise in the picture that `file` holds, from that of the deployment.

    The same file gets the same noise each time, another one another: who may send pictures cannot learn the noise that
    others carry, and masks at one place of two pictures have nothing in common.
    """
    return hashlib.blake2b(file, key=hashlib.blake2b(secret, digest_size=64).digest()).digest()


def paint(around: Float32, grid: Grid, secret: bytes, *, colored: bool) -> UInt8Image:
    """The colors of the cells of `grid`: `around` with the noise that `secret` gives each, (rows, columns, 3) uint8.

    `around`: (rows, columns, 3) float32, 8-bit RGB. Chroma gets noise only if `colored`. The noise is a keyed function
    of the cell's place and size.
    """
    key = hashlib.blake2b(secret, digest_size=64).digest()
    luma = _noise(key, b"luma", grid.window, grid.columns, grid.rows)[:, :, 0] * np.float32(LUMA_NOISE)
    shared = _noise(key, b"chroma", grid.window, grid.chroma_columns, grid.chroma_rows)
    size = (grid.columns, grid.rows)
    tint = cv2.resize(shared, size, interpolation=cv2.INTER_LINEAR).reshape(grid.rows, grid.columns, 2)
    tint = tint * np.float32(CHROMA_NOISE * colored)
    blue, red = tint[:, :, 0], tint[:, :, 1]
    noise = np.empty((*luma.shape, 3), np.float32)
    noise[:, :, 0], noise[:, :, 2] = CR * red, CB * blue
    noise[:, :, 1] = -(LUMA[2] * CB * blue + LUMA[0] * CR * red) / LUMA[1]
    painted = np.rint(around + (luma[:, :, None] + noise))
    return np.minimum(np.maximum(painted, 0), 255).astype(np.uint8)


def _noise(key: bytes, use: bytes, window: Window, columns: int, rows: int) -> Float32:
    """Two standard normal numbers for each of the `columns` × `rows` cells of `window`: (rows, columns, 2) float32.

    Box and Muller, 1958, over a keyed hash, not over a statistical generator: whoever learns some of the numbers learns
    none of the others.
    """
    x1, y1, x2, y2 = window
    cells = np.empty((rows, columns, 4), "<i4")
    cells[:, :, 0], cells[:, :, 1] = (x2 - x1) // columns, (y2 - y1) // rows
    cells[:, :, 2] = x1 + np.arange(columns) * (x2 - x1) // columns
    cells[:, :, 3] = (y1 + np.arange(rows) * (y2 - y1) // rows)[:, None]
    each, size = cells.tobytes(), 4 * cells.itemsize
    places = [each[i : i + size] for i in range(0, len(each), size)]
    hashes = [hashlib.blake2b(place, key=key, person=use, digest_size=16).digest() for place in places]
    raw = np.frombuffer(b"".join(hashes), "<u8").reshape(rows, columns, 2)
    uniform = (raw.astype(np.float64) + 0.5) / 2.0**64
    radius, angle = np.sqrt(-2 * np.log(uniform[:, :, 0])), 2 * np.pi * uniform[:, :, 1]
    normal = np.empty((rows, columns, 2), np.float32)
    normal[:, :, 0], normal[:, :, 1] = radius * np.cos(angle), radius * np.sin(angle)
    return normal


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
    rows, columns, channels = cells.shape
    if not smooth:
        across, down = np.arange(x1, x2) * columns // size[0], np.arange(y1, y2) * rows // size[1]
        return cast(Pixels, cells[down][:, across])
    samples = _smoothed(cells)
    if size[0] % samples.shape[1] == 0 and size[1] % samples.shape[0] == 0:
        left, right, wide = _around(x1, x2, size[0] // samples.shape[1], samples.shape[1])
        top, bottom, high = _around(y1, y2, size[1] // samples.shape[0], samples.shape[0])
        whole = ((right - left) * wide, (bottom - top) * high)
        large = cv2.resize(samples[top:bottom, left:right], whole, interpolation=cv2.INTER_LINEAR)
        shown = large.reshape(whole[1], whole[0], channels)
        return cast(Pixels, shown[y1 - top * high : y2 - top * high, x1 - left * wide : x2 - left * wide])
    if size[0] * size[1] <= ENLARGED_WHOLE:
        return enlarge(cells, size, smooth=True)[y1:y2, x1:x2]
    precise = samples.astype(np.float32)
    between = _between(_between(precise, size[1], y1, y2, 0), size[0], x1, x2, 1)
    return cast(Pixels, np.rint(between, out=between).astype(cells.dtype))


def _around(start: int, stop: int, scale: int, count: int) -> tuple[int, int, int]:
    """The samples, of `count`, that `scale`-fold enlarged show pixels `start` to `stop`, and the scale itself."""
    return max(0, start // scale - 1), min(count, -(-stop // scale) + 1), scale


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
