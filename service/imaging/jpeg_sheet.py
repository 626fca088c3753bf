"""Jobs of a picture side by side, so that what has to be done for each of many masks is done for all at once.

A call into NumPy or OpenCV costs as much as some ten thousand samples: for the masks of a street, nearly all that there
is to do.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from service.imaging.dct import Coefficients
from service.imaging.jpeg_grid import BLOCK, Grid, Job, Plane
from service.imaging.outlines import Bools

LARGEST_SHEET = 256 * 1024
"""Pixels up to which jobs share a sheet: more of them would not fit into the processor's cache."""

GAP = 3
"""MCUs between jobs: what is filled in for one spreads this far before it meets what another sees."""


@dataclass(frozen=True, slots=True)
class Part:
    """The blocks of one component in one job: those from `top` and `left` on of the component.

    `blocks` (rows, columns, 64), as read and later as they become, and which of them are `changed` (rows, columns):
    views of the sheet's.
    """

    top: int
    left: int
    blocks: Coefficients
    changed: Bools

    def read(self, row: int, blocks: Coefficients) -> None:
        """Takes its own of `blocks`, the whole `row` of the component."""
        self.blocks[row - self.top] = blocks[self.left : self.left + self.blocks.shape[1]]

    def write(self, row: int, blocks: Coefficients) -> None:
        """Puts back into them what is changed."""
        changed = self.changed[row - self.top]
        own = blocks[self.left : self.left + len(changed)]
        np.copyto(own, self.blocks[row - self.top], where=changed[:, None])


@dataclass(frozen=True, slots=True)
class SheetPlane:
    """One component of a sheet by block (rows, columns): `blocks` (…, 64), and as bool those `there` in the picture.

    `changed`: at first those that may be.
    """

    blocks: Coefficients
    there: Bools
    changed: Bools
    parts: tuple[Part, ...]


class Sheet:
    """`jobs` and the MCU `lefts` at which each begins, all at the top; `height` × `width` pixels; `planes`."""

    def __init__(self, jobs: list[Job], grid: Grid) -> None:
        steps = [0, *(each.right - each.left + GAP for each in jobs)]
        self.jobs, self.lefts = jobs, np.cumsum(steps)[:-1].tolist()
        self.rows, self.columns = max(each.bottom - each.top for each in jobs), sum(steps) - GAP
        self.height, self.width = self.rows * grid.mcu_height, self.columns * grid.mcu_width
        self.planes = tuple(self._plane(each) for each in grid.planes)

    def _plane(self, plane: Plane) -> SheetPlane:
        size = self.rows * plane.down, self.columns * plane.across
        blocks = np.zeros((*size, BLOCK * BLOCK), np.int16)
        there, changed = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        parts: list[Part] = []
        for job, at in zip(self.jobs, self.lefts, strict=True):
            top, left, start = job.top * plane.down, job.left * plane.across, at * plane.across
            rows = min(job.bottom * plane.down, plane.rows) - top
            columns = min(job.right * plane.across, plane.columns) - left
            place = np.s_[:rows, start : start + columns]
            there[place] = True
            changed[place] = job.own.repeat(plane.down, 0).repeat(plane.across, 1)[:rows, :columns]
            parts.append(Part(top, left, blocks[place], changed[place]))
        return SheetPlane(blocks, there, changed, tuple(parts))


def sheets(jobs: Iterable[Job], grid: Grid) -> Iterator[Sheet]:
    """All of `jobs`, those of like height together."""
    together: list[Job] = []
    width = 0
    for job in sorted(jobs, key=_order):
        wide = job.right - job.left
        pixels = (job.bottom - job.top) * grid.mcu_height * (width + wide) * grid.mcu_width
        if together and pixels > LARGEST_SHEET:
            yield Sheet(together, grid)
            together, width = [], 0
        together.append(job)
        width += wide + GAP
    if together:
        yield Sheet(together, grid)


def _order(job: Job) -> tuple[int, int, int]:
    return job.bottom - job.top, job.top, job.left
