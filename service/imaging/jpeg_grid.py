"""Where the masks of a picture lie on the grid of its JPEG's blocks, cut into jobs of bounded size."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from service.imaging.containers.jpeg_frame import Frame
from service.imaging.outlines import Bools, Window

BLOCK = 8
LARGEST_JOB = 1024 * 1024
"""Pixels of a rectangle around what is connected, above which it is cut up: memory is bounded, whatever is masked."""

TILE = 512
"""Pixels: side of the squares that it is cut into, about."""

CONTEXT = 1
"""MCUs around those of a job that it looks at."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One component's grid: its blocks per MCU, pixels per sample, and its blocks in the picture, padding left out."""

    across: int
    down: int
    pixels_across: int
    pixels_down: int
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Grid:
    """The MCUs (T.81 §A.2) of a picture: their size in pixels, how many, and the planes of its components."""

    mcu_width: int
    mcu_height: int
    columns: int
    rows: int
    planes: tuple[Plane, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """MCUs `left` ≤ x < `right`, `top` ≤ y < `bottom`; those that are `own` (rows, columns) bool may be changed."""

    left: int
    top: int
    right: int
    bottom: int
    own: Bools


def grid_of(frame: Frame) -> Grid | None:
    """The grid of `frame`; None if a component has no whole number of pixels per sample."""
    most_across = max(each.across for each in frame.components)
    most_down = max(each.down for each in frame.components)
    if any(most_across % each.across or most_down % each.down for each in frame.components):
        return None
    mcu_width, mcu_height = BLOCK * most_across, BLOCK * most_down
    planes = tuple(
        Plane(
            across=each.across,
            down=each.down,
            pixels_across=most_across // each.across,
            pixels_down=most_down // each.down,
            columns=-(-frame.width * each.across // mcu_width),
            rows=-(-frame.height * each.down // mcu_height),
        )
        for each in frame.components
    )
    return Grid(mcu_width, mcu_height, -(-frame.width // mcu_width), -(-frame.height // mcu_height), planes)


def touched(grid: Grid, windows: list[Window]) -> Bools:
    """The MCUs that `windows`, in stored pixels and not empty, reach into: (rows, columns) bool."""
    reached = np.zeros((grid.rows, grid.columns), np.bool_)
    for x1, y1, x2, y2 in windows:
        across = np.s_[x1 // grid.mcu_width : -(-x2 // grid.mcu_width)]
        reached[y1 // grid.mcu_height : -(-y2 // grid.mcu_height), across] = True
    return reached


def jobs(grid: Grid, reached: Bools) -> Iterator[Job]:
    """The MCUs of `reached`, each in one job, with their context: connected parts of it, large ones in squares."""
    for left, top, own in _parts(reached):
        height, width = own.shape
        if height * grid.mcu_height * width * grid.mcu_width <= LARGEST_JOB:
            yield _job(grid, left, top, own)
            continue
        high, wide = TILE // grid.mcu_height, TILE // grid.mcu_width
        for y in range(0, height, high):
            for x in range(0, width, wide):
                for further_left, further_top, part in _parts(own[y : y + high, x : x + wide]):
                    yield _job(grid, left + x + further_left, top + y + further_top, part)


def _parts(reached: Bools) -> Iterator[tuple[int, int, Bools]]:
    """Each connected part: the left and top of the rectangle around it, and what is set of the rectangle."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(reached.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label, :4])
        yield left, top, labels[top : top + height, left : left + width] == label


def _job(grid: Grid, left: int, top: int, own: Bools) -> Job:
    bottom, right = top + own.shape[0], left + own.shape[1]
    around = (max(0, left - CONTEXT), max(0, top - CONTEXT))
    until = (min(grid.columns, right + CONTEXT), min(grid.rows, bottom + CONTEXT))
    inside = np.zeros((until[1] - around[1], until[0] - around[0]), np.bool_)
    inside[top - around[1] : bottom - around[1], left - around[0] : right - around[0]] = own
    return Job(around[0], around[1], until[0], until[1], inside)
