"""Where the detectors look: tiles over the picture at full resolution, over its halved copies and, doubled, at detail.

Geometry is in edges, not centers: pixel i of a level covers [i, i+1), and a level of scale s shows the picture's
coordinate p at p·s, on both axes exactly. A level of an odd size has one more row or column, whose last pixel lies half
outside the picture and is made of the repeated border.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from service.imaging.color import to_rgb8
from service.imaging.quarters import turned, turned_back
from service.imaging.raster import ColorModel, Pixels, Raster, UInt8Image, upright_view
from service.policy import Effort

PAD = 114
"""Gray beside pictures that are smaller than a tile, as in the detectors' training."""

DOUBLED = -1
"""Number of the level that shows the picture at twice its size."""

DOUBLED_PIXELS = 2_100_000
"""Pictures up to this size (full HD) get the doubled level at balanced effort; it costs four times the pixels."""

TURNED = (1, 2, 3)
"""Quarters by which the turned views of a thorough search are turned: heads that lie on either side or hang down."""

BAND_PIXELS = 1_000_000
"""Pixels that are converted and halved at a time, to bound memory."""

DOUBLING_MARGIN = 2
"""Pixels beside a doubled window that interpolation may look at."""


@dataclass(frozen=True, slots=True)
class View:
    """One tile's window on one level of the picture.

    `level`: 0 full resolution, k ≥ 1 halved k times, -1 doubled. `x`, `y`: the window's corner in level pixels.
    `width`, `height`: of the window; where it reaches over the level it is padded. `picture_width`, `picture_height`:
    upright. `wraps`: the level's right edge is followed by its left one, as in a panorama. `quarters`: 0..3, by which
    the window is turned counterclockwise to be the tile.
    """

    level: int
    x: int
    y: int
    width: int
    height: int
    picture_width: int
    picture_height: int
    wraps: bool = False
    quarters: int = 0

    @property
    def scale(self) -> float:
        """Level pixels per picture pixel, on both axes, exactly."""
        return 2.0**-self.level

    @property
    def level_size(self) -> tuple[int, int]:
        """Width and height of the whole level in its own pixels."""
        return level_side(self.picture_width, self.level), level_side(self.picture_height, self.level)


def level_side(side: int, level: int) -> int:
    """Pixels of a picture's `side` on `level`, rounded up."""
    return side << -level if level < 0 else -(-side >> level)


def plan_views(
    width: int, height: int, *, tile_width: int, tile_height: int, overlap: int, effort: Effort
) -> tuple[View, ...]:
    """Every tile that a picture of `width` × `height` upright pixels is searched by, fine levels first, row by row.

    Levels: `balanced` takes full resolution and halves until the whole picture fits one tile, plus the doubled level
    for pictures up to `DOUBLED_PIXELS`; `thorough` doubles always; `fast` begins at one half, unless the picture fits
    one tile as it is. Tiles cover every pixel of their level, and any object up to `overlap` level pixels lies whole in
    one of them. `thorough` also turns each level but the doubled one, which would cost three times the others, by
    `TURNED`.

    Raises ValueError if the overlap is not smaller than the tile or the picture is empty.
    """
    if not 0 <= overlap < min(tile_width, tile_height):
        raise ValueError("the overlap must be smaller than the tile")
    if width < 1 or height < 1:
        raise ValueError("the picture is empty")
    whole = _whole(width, height, tile_width, tile_height)
    levels = list(range(1 if effort is Effort.FAST and whole > 0 else 0, whole + 1))
    if effort is Effort.THOROUGH or (effort is Effort.BALANCED and width * height <= DOUBLED_PIXELS):
        levels.insert(0, DOUBLED)
    return tuple(
        view
        for level in levels
        for quarters in (0, *(TURNED if effort is Effort.THOROUGH and level != DOUBLED else ()))
        for view in _on_level(width, height, level, quarters, tile_width, tile_height, overlap)
    )


def plan_close_ups(width: int, height: int, *, tile_width: int, tile_height: int, count: int) -> tuple[View, ...]:
    """The whole picture on `count` further levels, for what fills it: each view has half the sides of the one before.

    The first of them is half as large as the coarsest one of `plan_views`, which fits a tile.
    """
    whole = _whole(width, height, tile_width, tile_height)
    return tuple(View(whole + k, 0, 0, tile_width >> k, tile_height >> k, width, height) for k in range(1, count + 1))


def _whole(width: int, height: int, tile_width: int, tile_height: int) -> int:
    """The first level that fits a tile."""
    whole = 0
    while level_side(width, whole) > tile_width or level_side(height, whole) > tile_height:
        whole += 1
    return whole


def _on_level(
    width: int, height: int, level: int, quarters: int, tile_width: int, tile_height: int, overlap: int
) -> Iterator[View]:
    across, down = (tile_height, tile_width) if quarters % 2 else (tile_width, tile_height)
    for y in covering(level_side(height, level), down, overlap):
        for x in covering(level_side(width, level), across, overlap):
            yield View(level, x, y, across, down, width, height, quarters=quarters)


def covering(side: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Where tiles begin along one `side`, spread evenly; neighbors share at least `overlap`."""
    if side <= tile:
        return (0,)
    gaps = math.ceil((side - tile) / (tile - overlap))
    return tuple(i * (side - tile) // gaps for i in range(gaps + 1))


def to_picture(boxes: npt.NDArray[np.float32], view: View) -> npt.NDArray[np.float32]:
    """`boxes` (…, 4) x1, y1, x2, y2 in pixels of the tile of `view`, as upright picture pixels, clipped to the picture.

    A box that lies only in padding keeps no area (x1 = x2 or y1 = y2): drop what has none. Where the picture wraps, a
    box is not clipped at its sides: it may begin before the left edge or end beyond the right one.
    """
    boxes = turned_back(boxes, view.quarters, view.width, view.height)
    corner = np.array([view.x, view.y, view.x, view.y], np.float64)
    limit = np.array([view.picture_width, view.picture_height] * 2, np.float64)
    least = np.zeros(4)
    if view.wraps:
        least[[0, 2]], limit[[0, 2]] = -np.inf, np.inf
    return np.clip((boxes + corner) / view.scale, least, limit).astype(np.float32)


class Pyramid:
    """The levels of one picture, of which only halved ones are ever held: a third of its pixels, 3 bytes each.

    Halved levels are computed once, when first asked for; any thread may ask. They are kept turned as the raster is
    and are seen upright by strides, so that no orientation costs a turned copy.
    """

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._halved: list[UInt8Image] = []
        self._lock = Lock()

    def tile(self, view: View) -> UInt8Image:
        """The pixels of `view`: (view.height, view.width, 3) uint8 RGB, turned; C-contiguous, the caller's own.

        Gray, 16-bit and CMYK are converted as `color.to_rgb8` says; alpha is ignored, since what transparency hides is
        in the file all the same. Raises ValueError if `view` was planned for a picture of another size.
        """
        if (view.picture_width, view.picture_height) != (self._raster.width, self._raster.height):
            raise ValueError("the view was planned for a picture of another size")
        shown = np.concatenate([self._window(part) for part in _parts(view)], axis=1)
        height, width = shown.shape[:2]
        if (height, width) != (view.height, view.width):
            window = np.full((view.height, view.width, 3), PAD, np.uint8)
            window[:height, :width] = shown
            shown = window
        return turned(shown, view.quarters) if view.quarters else shown

    def level(self, level: int) -> UInt8Image | Pixels:
        """Level `level` ≥ 0 seen upright, strided: (h, w, C) as in the raster at level 0, (h, w, 3) RGB above."""
        if level == 0:
            return self._raster.upright
        return upright_view(self._level(level), self._raster.orientation)

    @property
    def color(self) -> ColorModel:
        """Of level 0."""
        return self._raster.color

    def _window(self, view: View) -> UInt8Image:
        return self._doubled(view) if view.level == DOUBLED else self._cropped(view)

    def _cropped(self, view: View) -> UInt8Image:
        rows, columns = slice(view.y, view.y + view.height), slice(view.x, view.x + view.width)
        if view.level == 0:
            return to_rgb8(self._raster.upright[rows, columns], self._raster.color)
        level = cast(UInt8Image, upright_view(self._level(view.level), self._raster.orientation))
        return level[rows, columns]

    def _doubled(self, view: View) -> UInt8Image:
        """The window at twice the size, interpolated as the whole picture would be, so that neighboring tiles agree."""
        width, height = view.level_size
        across, x = _source(view.x, min(view.x + view.width, width), view.picture_width)
        down, y = _source(view.y, min(view.y + view.height, height), view.picture_height)
        source = np.ascontiguousarray(to_rgb8(self._raster.upright[down, across], self._raster.color))
        size = (2 * source.shape[1], 2 * source.shape[0])
        doubled = cast(UInt8Image, cv2.resize(source, size, interpolation=cv2.INTER_LINEAR))
        return doubled[y, x]

    def _level(self, level: int) -> UInt8Image:
        """Level `level` ≥ 1, turned as the raster is."""
        with self._lock:
            while len(self._halved) < level:
                self._halved.append(self._halve())
            return self._halved[level - 1]

    def _halve(self) -> UInt8Image:
        """The next level: each pixel the mean of four of the level above."""
        above = self._halved[-1] if self._halved else self._raster.pixels
        height, width = above.shape[:2]
        # The repeated border of an odd side belongs at the upright picture's right and bottom.
        left = width % 2 if self._raster.orientation in (2, 3, 7, 8) else 0
        top = height % 2 if self._raster.orientation in (3, 4, 6, 7) else 0
        half = np.empty((level_side(height, 1), level_side(width, 1), 3), np.uint8)
        for begin, end in _bands(half.shape[0], max(1, BAND_PIXELS // (4 * half.shape[1]))):
            first, last = max(2 * begin - top, 0), min(2 * end - top, height)
            band = self._halved[-1][first:last] if self._halved else to_rgb8(above[first:last], self._raster.color)
            over, under = first - (2 * begin - top), 2 * end - top - last
            if width % 2 or over or under:
                sides = (over, under, left, width % 2 - left)
                band = cast(UInt8Image, cv2.copyMakeBorder(band, *sides, cv2.BORDER_REPLICATE))
            half[begin:end] = cv2.resize(band, (half.shape[1], end - begin), interpolation=cv2.INTER_AREA)
        return half


def _parts(view: View) -> list[View]:
    """`view` as windows that do not cross the seam, from left to right."""
    width = view.level_size[0]
    beyond = view.x + view.width - width
    if not view.wraps or beyond <= 0:
        return [view]
    return [replace(view, width=view.width - beyond), replace(view, x=0, width=min(beyond, width))]


def _source(begin: int, end: int, side: int) -> tuple[slice, slice]:
    """Picture pixels that show doubled pixels begin…end, with a margin; and where those lie in the doubled margin."""
    first = max(begin // 2 - DOUBLING_MARGIN, 0)
    last = min(-(-end // 2) + DOUBLING_MARGIN, side)
    return slice(first, last), slice(begin - 2 * first, end - 2 * first)


def _bands(rows: int, size: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, rows, size):
        yield begin, min(begin + size, rows)
