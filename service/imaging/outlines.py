"""Outlines of what is hidden, as coverage of pixels: 1 in the core, falling to 0 over a feather outside of it.

Coordinates are upright pixels in edges: pixel i covers [i, i+1). A pixel that an outline touches at all belongs to its
core. `window` is x1, y1, x2, y2 in whole pixels.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol, cast

import cv2
import numpy as np
import numpy.typing as npt

from service.imaging.detections import Float32
from service.policy import Area

Window = tuple[int, int, int, int]
Box = tuple[float, float, float, float]
Bools = npt.NDArray[np.bool_]

ELLIPSE_FEATHER = 0.15
"""Width of an ellipse's feather, relative to its semi-axes."""

EDGE_FEATHER = 0.06
"""Width of the feather beside straight edges, relative to the short side of the bounds."""

MIN_FEATHER, MAX_EDGE_FEATHER = 2.0, 32.0
"""Pixels; a narrower one looks like a hard edge, a wider one along straight edges like fog."""


class Outline(Protocol):
    @property
    def bounds(self) -> Box:
        """Around the core."""

    @property
    def outer(self) -> Window:
        """Around core and feather, rounded outward."""

    def alpha(self, window: Window) -> Float32:
        """Share of the obscured picture in each pixel of `window`: (h, w) float32, exactly 1 in the core."""

    def shifted(self, by: float) -> "Outline":
        """The same outline `by` pixels to the right."""


@dataclass(frozen=True, slots=True)
class EllipseOutline:
    """An upright ellipse around (`x`, `y`) with semi-axes `a` and `b`, both positive."""

    x: float
    y: float
    a: float
    b: float

    @property
    def bounds(self) -> Box:
        return self.x - self.a, self.y - self.b, self.x + self.a, self.y + self.b

    @property
    def _reach(self) -> float:
        """Where the feather ends, in semi-axes."""
        return 1 + max(ELLIPSE_FEATHER, MIN_FEATHER / min(self.a, self.b))

    @property
    def outer(self) -> Window:
        a, b = self.a * self._reach, self.b * self._reach
        return _outward((self.x - a, self.y - b, self.x + a, self.y + b))

    def alpha(self, window: Window) -> Float32:
        x1, y1, x2, y2 = window
        # Of each pixel the point nearest to the center, in semi-axes: where that is inside, the ellipse touches it.
        across = np.maximum(np.abs(np.arange(x1, x2) + 0.5 - self.x) - 0.5, 0) / self.a
        down = np.maximum(np.abs(np.arange(y1, y2) + 0.5 - self.y) - 0.5, 0) / self.b
        distance = np.add.outer((down**2).astype(np.float32), (across**2).astype(np.float32))
        np.sqrt(distance, out=distance)
        np.subtract(np.float32(self._reach), distance, out=distance)
        # A hair wider than the ellipse, so that rounding takes no pixel from the core.
        distance *= np.float32(1.0001 / (self._reach - 1))
        return eased(distance)

    def shifted(self, by: float) -> "EllipseOutline":
        return replace(self, x=self.x + by)


@dataclass(frozen=True, slots=True)
class BoxOutline:
    """The whole pixels that touch x1, y1, x2, y2."""

    box: Box

    @property
    def bounds(self) -> Box:
        return self.box

    @property
    def outer(self) -> Window:
        return _widened(self.box, _edge_feather(self.box))

    def alpha(self, window: Window) -> Float32:
        x1, y1, x2, y2 = _outward(self.box)
        step = 1 / (_edge_feather(self.box) + 1)
        columns, rows = np.arange(window[0], window[2]), np.arange(window[1], window[3])
        across = 1 - step * np.maximum(np.maximum(x1 - columns, columns - (x2 - 1)), 0)
        down = 1 - step * np.maximum(np.maximum(y1 - rows, rows - (y2 - 1)), 0)
        return np.multiply.outer(eased(down.astype(np.float32)), eased(across.astype(np.float32)))

    def shifted(self, by: float) -> "BoxOutline":
        x1, y1, x2, y2 = self.box
        return BoxOutline((x1 + by, y1, x2 + by, y2))


@dataclass(frozen=True, slots=True)
class PolygonOutline:
    """The whole pixels that touch the polygon; where it crosses itself, everything that it winds around."""

    area: Area

    @property
    def bounds(self) -> Box:
        return self.area.xyxy

    @property
    def outer(self) -> Window:
        return _widened(self.bounds, _edge_feather(self.bounds))

    def alpha(self, window: Window) -> Float32:
        feather = _edge_feather(self.bounds)
        touched, _ = polygon_pixels(self.area, _widened(window, feather))
        distance = cast(Float32, cv2.distanceTransform((~touched).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5))
        inner = distance[feather : feather + window[3] - window[1], feather : feather + window[2] - window[0]]
        return eased(1 - inner / np.float32(feather + 1))

    def shifted(self, by: float) -> "PolygonOutline":
        return PolygonOutline(Area(points=tuple((x + by, y) for x, y in self.area.points)))


@dataclass(frozen=True, slots=True)
class UnionOutline:
    """Everything that at least one of `parts` covers, at least two."""

    parts: tuple[Outline, ...]

    @property
    def bounds(self) -> Box:
        x1, y1, x2, y2 = zip(*(part.bounds for part in self.parts), strict=True)
        return min(x1), min(y1), max(x2), max(y2)

    @property
    def outer(self) -> Window:
        x1, y1, x2, y2 = zip(*(part.outer for part in self.parts), strict=True)
        return min(x1), min(y1), max(x2), max(y2)

    def alpha(self, window: Window) -> Float32:
        alpha = np.zeros((window[3] - window[1], window[2] - window[0]), np.float32)
        for part in self.parts:
            x1, y1, x2, y2 = common(part.outer, window)
            if x1 < x2 and y1 < y2:
                place = alpha[y1 - window[1] : y2 - window[1], x1 - window[0] : x2 - window[0]]
                np.maximum(place, part.alpha((x1, y1, x2, y2)), out=place)
        return alpha

    def shifted(self, by: float) -> "UnionOutline":
        return UnionOutline(tuple(part.shifted(by) for part in self.parts))


def common(one: Window, other: Window) -> Window:
    """What both windows hold; empty if x1 ≥ x2 or y1 ≥ y2."""
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def polygon_pixels(area: Area, window: Window) -> tuple[Bools, Bools]:
    """The pixels of `window` that the polygon touches, and those that lie wholly inside it: two (h, w) bool, exact.

    Scan conversion per edge: the pixels that an edge passes through, row by row, and the winding number at the pixels'
    centers. Touched is by the nonzero rule; wholly inside is by the even-odd rule, which is the smaller of the two.
    """
    x0, y0, x_end, y_end = window
    edge = np.zeros((y_end - y0, x_end - x0 + 1), np.int16)
    winding = np.zeros_like(edge)
    for (ax, ay), (bx, by) in zip(area.points, area.points[1:] + area.points[:1], strict=True):
        low, high = min(ay, by), max(ay, by)
        rows = np.arange(max(math.floor(low), y0), min(math.ceil(high), y_end))
        if len(rows) == 0:
            continue
        if ay == by:
            left, right = np.full(len(rows), min(ax, bx)), np.full(len(rows), max(ax, bx))
        else:
            ends = ax + (np.clip([rows, rows + 1], low, high) - ay) / (by - ay) * (bx - ax)
            left, right = ends.min(axis=0), ends.max(axis=0)
        edge[rows - y0, np.clip(np.floor(left), x0, x_end).astype(np.intp) - x0] += 1
        edge[rows - y0, np.clip(np.ceil(right), x0, x_end).astype(np.intp) - x0] -= 1
        crossed = rows[(rows + 0.5 >= low) & (rows + 0.5 < high)]
        crossings = ax + (crossed + 0.5 - ay) / (by - ay) * (bx - ax) if len(crossed) else crossed
        winding[crossed - y0, np.clip(np.ceil(crossings - 0.5), x0, x_end).astype(np.intp) - x0] += 1 if by > ay else -1
    passed = np.cumsum(edge[:, :-1], axis=1, dtype=np.int16) > 0
    turns = np.cumsum(winding[:, :-1], axis=1, dtype=np.int16)
    return passed | (turns != 0), (turns % 2 == 1) & ~passed


def _edge_feather(box: Box) -> int:
    """Pixels over which a straight edge fades."""
    relative = EDGE_FEATHER * min(box[2] - box[0], box[3] - box[1])
    return math.ceil(min(max(MIN_FEATHER, relative), MAX_EDGE_FEATHER))


def _outward(box: Box) -> Window:
    return math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])


def _widened(box: Box, by: int) -> Window:
    x1, y1, x2, y2 = _outward(box)
    return x1 - by, y1 - by, x2 + by, y2 + by


def eased(linear: Float32) -> Float32:
    """Smoothstep of `linear`, clipped to 0..1, in place: flat at both ends, so that the eye finds no edge."""
    np.clip(linear, 0, 1, out=linear)
    square = linear * linear
    linear *= -2
    linear += 3
    linear *= square
    return linear
