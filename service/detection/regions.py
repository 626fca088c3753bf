"""Parts of tiles that are worth a look: marked as cells of a grid, searched as rectangles."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from service.detection.contract import LEAST, STEP
from service.imaging.sphere_views import AnyView
from service.imaging.views import View

Bools = npt.NDArray[np.bool_]

CELL = STEP
"""Side of a cell in tile pixels: the detectors' coarsest stride, so that a part lies on their grid as in its tile."""

MOST = 0.6
"""Share of a tile from which its parts are not worth cutting out."""

Rectangle = tuple[int, int, int, int]
"""x1, y1, x2, y2 in tile pixels."""


def shown(view: AnyView) -> tuple[int, int]:
    """Width and height of the part of the tile of `view`, from its corner on, that shows anything, in whole cells.

    Of a turned view, the whole tile: what it shows need not begin at the corner.
    """
    if not isinstance(view, View) or view.quarters:
        return view.width, view.height
    level_width, level_height = view.level_size
    across = view.width if view.wraps else _whole_cells(level_width - view.x, view.width)
    return across, _whole_cells(level_height - view.y, view.height)


def _whole_cells(pixels: int, most: int) -> int:
    return min(max(-(-pixels // CELL), LEAST // CELL) * CELL, most)


def no_cells(width: int, height: int) -> Bools:
    """The cells of a tile, none of which is marked: (rows, columns)."""
    return np.zeros((-(-height // CELL), -(-width // CELL)), np.bool_)


def mark(cells: Bools, boxes: Iterable[Sequence[float]], margin: float) -> None:
    """Marks every cell that one of `boxes` (x1, y1, x2, y2 in tile pixels), grown by `margin` pixels, touches."""
    for x1, y1, x2, y2 in boxes:
        first, last = np.floor((y1 - margin) / CELL), np.ceil((y2 + margin) / CELL)
        left, right = np.floor((x1 - margin) / CELL), np.ceil((x2 + margin) / CELL)
        cells[max(0, int(first)) : max(0, int(last)), max(0, int(left)) : max(0, int(right))] = True


def rectangles(cells: Bools, width: int, height: int) -> list[Rectangle]:
    """Disjoint rectangles that hold all marked cells of a tile of `width` × `height`, and few others.

    One that is the whole tile where they come to more than `MOST` of it.
    """
    found = _apart(_around_connected(cells))
    if sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in found) > MOST * cells.size:
        return [(0, 0, width, height)]
    return [(x1 * CELL, y1 * CELL, min(x2 * CELL, width), min(y2 * CELL, height)) for x1, y1, x2, y2 in found]


def _around_connected(cells: Bools) -> list[Rectangle]:
    """Around each group of marked cells that touch, in cells."""
    _, _, groups, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8))
    return [(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h, _ in groups[1:]]


def _apart(found: list[Rectangle]) -> list[Rectangle]:
    """With those that overlap made one, until none do."""
    apart: list[Rectangle] = []
    for each in found:
        joined = each
        while over := [other for other in apart if _overlap(joined, other)]:
            apart = [other for other in apart if other not in over]
            left, top, right, bottom = zip(joined, *over, strict=True)
            joined = (min(left), min(top), max(right), max(bottom))
        apart.append(joined)
    return apart


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
