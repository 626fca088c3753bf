"""What the network should say of a crop: the center region of a plate is positive, the rest of it neither nor.

After FCOS (Tian et al., 2019) with center sampling; each cell of a center region knows the distances to all four sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRIDE = 4
NEGATIVE, POSITIVE, IGNORED = 0, 1, 255
LEAST_SEEN = 0.45
"""Share of a plate that has to lie inside the crop; what shows less is ignored."""
LEAST_HEIGHT = 5.0
"""Pixels; lower plates are ignored."""


@dataclass(frozen=True)
class Target:
    """For s × s cells of 4 × 4 pixels: `heat` uint8 (s, s); `distances` float16 (4, s, s), left, top, right, bottom in
    pixels; `weight` float16 (s, s), which sums to one over the positive cells of each plate and to at most one over the
    ignored ones."""

    heat: NDArray[np.uint8]
    distances: NDArray[np.float16]
    weight: NDArray[np.float16]


def clip(rows: Sequence[Sequence[float]], side: int) -> tuple[list[list[float]], list[list[float]]]:
    """Boxes cut at the border of a crop of `side` pixels: (plates to find, regions to ignore)."""
    keep: list[list[float]] = []
    ignore: list[list[float]] = []
    for x1, y1, x2, y2 in rows:
        cut = [max(0.0, x1), max(0.0, y1), min(float(side), x2), min(float(side), y2)]
        width, height = cut[2] - cut[0], cut[3] - cut[1]
        if width <= 1 or height <= 1:
            continue
        seen = width * height / max((x2 - x1) * (y2 - y1), 1e-6)
        (keep if seen > LEAST_SEEN and height >= LEAST_HEIGHT else ignore).append(cut)
    return keep, ignore


def target(plates: Sequence[Sequence[float]], ignore: Sequence[Sequence[float]], side: int) -> Target:
    """The target of a crop of `side` × `side` pixels; smaller plates win where two overlap."""
    cells = side // STRIDE
    heat = np.zeros((cells, cells), np.uint8)
    distances = np.zeros((4, cells, cells), np.float32)
    weight = np.zeros((cells, cells), np.float32)
    centers = (np.arange(cells) + 0.5) * STRIDE
    for x1, y1, x2, y2 in ignore:
        rows = slice(max(0, int(y1 // STRIDE)), max(0, int(np.ceil(y2 / STRIDE))))
        heat[rows, max(0, int(x1 // STRIDE)) : max(0, int(np.ceil(x2 / STRIDE)))] = IGNORED
    for x1, y1, x2, y2 in sorted(plates, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), reverse=True):
        within_y, within_x = (centers > y1 - 2) & (centers < y2 + 2), (centers > x1 - 2) & (centers < x2 + 2)
        inside = np.ix_(within_y, within_x)
        heat[inside] = IGNORED
        x, y = np.meshgrid(centers[within_x], centers[within_y])
        for side_of, distance in enumerate((x - x1, y - y1, x2 - x, y2 - y)):
            distances[side_of][inside] = np.maximum(distance, 0.5)
        weight[inside] = 1 / max(1, x.size)
        reach_x = np.clip(0.25 * (x2 - x1), STRIDE * 0.51, STRIDE * 3.01)
        reach_y = np.clip(0.25 * (y2 - y1), STRIDE * 0.51, STRIDE * 3.01)
        columns = np.flatnonzero(np.abs(centers - (x1 + x2) / 2) <= reach_x)
        lines = np.flatnonzero(np.abs(centers - (y1 + y2) / 2) <= reach_y)
        if not len(columns) or not len(lines):
            continue
        middle = np.ix_(lines, columns)
        heat[middle] = POSITIVE
        weight[middle] = 1 / (len(lines) * len(columns))
        x, y = np.meshgrid(centers[columns], centers[lines])
        for side_of, distance in enumerate((x - x1, y - y1, x2 - x, y2 - y)):
            distances[side_of][middle] = distance
    return Target(heat, distances.astype(np.float16), weight.astype(np.float16))
