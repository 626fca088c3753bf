"""A JPEG with nothing changed but the blocks that a mask reaches, quantized with the file's own tables.

The obscured picture is composited in the planes of the file's components, as they are subsampled, from what the decoded
coefficients say: no other block, and no sample that the mask leaves alone, takes a way through pixels and back.

A coded block of 8 × 8 samples tells of all its samples by each of its coefficients, rounding errors included: where a
part is hidden, the visible rest still rings of it. So a block in which anything is hidden is never looked at. What it
shows beside the mask is filled in from the blocks around it. The decision: docs/decisions/0006-jpeg-patch.md.
"""

from collections import defaultdict
from typing import cast

import cv2
import numpy as np

from service.imaging.color import YCBCR
from service.imaging.containers import jpeg
from service.imaging.containers.jpeg_frame import Coding, Frame, read_frame
from service.imaging.dct import Coefficients, quantized, samples
from service.imaging.detections import Float32
from service.imaging.formats import ImageFormat
from service.imaging.infill import fill_in
from service.imaging.jpeg_grid import BLOCK, Grid, Job, Plane, grid_of, jobs, touched
from service.imaging.jpeg_turn import turned_upright
from service.imaging.layers import Cover
from service.imaging.metadata import STRIP, carried
from service.imaging.outlines import Bools
from service.imaging.overlay import overlay
from service.imaging.source import Source
from service.imaging.turbojpeg import Edit, TurboJpeg, Unsupported
from service.imaging.turning import stored_view, to_stored, to_upright
from service.policy import MetadataPolicy

FULL, MIDDLE = 255.0, 128.0
CMYK = 4

INKS = -np.eye(4, dtype=np.float32)
YCCK = np.block([[YCBCR, np.zeros((3, 1))], [np.zeros((1, 3)), -1.0]]).astype(np.float32)
MODELS: dict[Coding, tuple[Float32, Float32]] = {
    Coding.GRAY: (np.eye(1, dtype=np.float32), np.array([-MIDDLE], np.float32)),
    Coding.RGB: (np.eye(3, dtype=np.float32), np.full(3, -MIDDLE, np.float32)),
    Coding.YCBCR: (YCBCR, np.array([-MIDDLE, 0, 0], np.float32)),
    Coding.CMYK: (INKS, np.full(4, FULL - MIDDLE, np.float32)),
    Coding.YCCK: (YCCK, np.array([-MIDDLE, 0, 0, FULL - MIDDLE], np.float32)),
}
"""From the channels of a raster to components, around 0 as the transform has them: matrix and offset.

Files hold ink inverted, 0 for all of it, and the raster does not. YCCK is YCbCr of what is left of red, green and blue
light in files, which is the ink itself once it is inverted.
"""


def patch(
    cover: Cover,
    source: Source,
    library: TurboJpeg,
    keep: MetadataPolicy = STRIP,
    *,
    keep_progressive: bool = True,
) -> bytes | None:
    """`source`, the JPEG that `cover` was made for, with it over it, and with what `metadata.carried` names alone.

    A progressive file stays so, or becomes sequential if not `keep_progressive`. If the cover is for the picture stored
    upright, the source is turned. None if it is of a kind that the library or this module cannot patch or turn.

    Raises CorruptImage if the source is damaged.
    """
    if source.orientation != cover.raster.orientation:
        turned = turned_upright(source, library) if cover.raster.orientation == 1 else None
        if turned is None:
            return None
        source = turned
    frame = read_frame(source.data)
    grid = grid_of(frame) if frame else None
    if frame is None or grid is None:
        return None
    work = _Patch(cover, frame, grid)
    progressive = frame.progressive and keep_progressive
    try:
        patched = library.transform(source.data, work.edit, progressive=progressive, optimize=not frame.standard_codes)
    except Unsupported:
        return None
    # Adobe's marker says RGB, or that inks are inverted; libjpeg writes it for any CMYK, even if none was there.
    adobe = frame.coding is Coding.RGB or (len(frame.components) == CMYK and frame.adobe)
    return jpeg.attach(jpeg.bare(patched, adobe=adobe), carried(cover.raster, ImageFormat.JPEG, keep))


class _Part:
    """The blocks of one component in one job: what was read, and what is to be written where `changed`."""

    def __init__(self, job: Job, plane: Plane) -> None:
        self.top, self.left = job.top * plane.down, job.left * plane.across
        self.rows = min(job.bottom * plane.down, plane.rows) - self.top
        self.columns = min(job.right * plane.across, plane.columns) - self.left
        self.read: Coefficients = np.zeros((self.rows, self.columns, BLOCK * BLOCK), np.int16)
        self.new: Coefficients = self.read
        self.changed: Bools = np.ones((self.rows, self.columns), np.bool_)


class _Patch:
    """One picture's blocks around its masks, between being read and being written."""

    def __init__(self, cover: Cover, frame: Frame, grid: Grid) -> None:
        self._cover, self._frame, self._grid = cover, frame, grid
        self._size = cover.raster.width, cover.raster.height
        windows = [to_stored(each, cover.raster.orientation, *self._size) for each in cover.windows]
        self._jobs = [(job, [_Part(job, p) for p in grid.planes]) for job in jobs(grid, touched(grid, windows))]
        self._by_row: dict[tuple[int, int], list[_Part]] = defaultdict(list)
        for _, parts in self._jobs:
            for component, part in enumerate(parts):
                for row in range(part.top, part.top + part.rows):
                    self._by_row[component, row].append(part)
        self._done = False

    @property
    def edit(self) -> Edit | None:
        """None if there is nothing to change."""
        return Edit(frozenset(self._by_row), self._read, self._write) if self._jobs else None

    def _read(self, component: int, row: int, blocks: Coefficients) -> None:
        for part in self._by_row[component, row]:
            part.read[row - part.top] = blocks[part.left : part.left + part.columns]

    def _write(self, component: int, row: int, blocks: Coefficients) -> None:
        if not self._done:
            for job, parts in self._jobs:
                self._composite_job(job, parts)
            self._done = True
        for part in self._by_row[component, row]:
            changed = part.changed[row - part.top]
            blocks[part.left : part.left + part.columns][changed] = part.new[row - part.top][changed]

    def _composite_job(self, job: Job, parts: list[_Part]) -> None:
        """Sets `new` and `changed` of each part."""
        paint, hidden = self._overlay(job)
        matrix, offset = MODELS[self._frame.coding]
        to_components = np.hstack([matrix, offset[:, None]])
        reduced: dict[tuple[int, int], Float32] = {}
        for i, (part, plane) in enumerate(zip(parts, self._grid.planes, strict=True)):
            scale = plane.pixels_across, plane.pixels_down
            if scale not in reduced:
                reduced[scale] = _reduced(paint, scale)
            sampled = reduced[scale][:, : part.rows * BLOCK, : part.columns * BLOCK]
            # The weight takes the place of the 1 that an offset is multiplied by: paint is premultiplied by it.
            color, weight = _mixed(sampled, to_components[i]), sampled[-1]
            opaque = _any(hidden, BLOCK * plane.pixels_down, BLOCK * plane.pixels_across)
            known = ~opaque[: part.rows, : part.columns]
            own = job.own.repeat(plane.down, 0).repeat(plane.across, 1)[: part.rows, : part.columns]
            part.changed &= own & _any(weight > 0, BLOCK, BLOCK)
            steps = self._frame.components[i].steps
            below = np.zeros_like(weight)
            _blocks(below)[known] = samples(part.read[known], steps)
            fill_in(below, known, wanted=part.changed & _any(weight < 1, BLOCK, BLOCK))
            below *= 1 - weight
            below += color
            part.new = np.empty_like(part.read)
            part.new[part.changed] = quantized(_blocks(below)[part.changed], steps)

    def _overlay(self, job: Job) -> tuple[Float32, Bools]:
        """Paint and what is hidden, as stored, over the whole MCUs of `job`; beyond the picture as at its edge."""
        raster, grid, frame = self._cover.raster, self._grid, self._frame
        x1, y1 = job.left * grid.mcu_width, job.top * grid.mcu_height
        x2, y2 = job.right * grid.mcu_width, job.bottom * grid.mcu_height
        window = (x1, y1, min(x2, frame.width), min(y2, frame.height))
        over = overlay(self._cover, to_upright(window, raster.orientation, *self._size))
        upright = np.moveaxis(over.paint, 0, 2)
        paint = np.ascontiguousarray(np.moveaxis(stored_view(upright, raster.orientation), 2, 0))
        hidden = np.ascontiguousarray(stored_view(over.hidden, raster.orientation))
        if window[2:] != (x2, y2):
            beyond = ((0, y2 - window[3]), (0, x2 - window[2]))
            paint, hidden = np.pad(paint, ((0, 0), *beyond), mode="edge"), np.pad(hidden, beyond, mode="edge")
        return paint, hidden


def _mixed(planes: Float32, shares: Float32) -> Float32:
    """The sum of `planes` (n, h, w), each times its share; not by BLAS, whose threads cost more than they give here."""
    mixed: Float32 = planes[0] * shares[0]
    for plane, share in zip(planes[1:], shares[1:], strict=True):
        if share:
            mixed += plane * share
    return mixed


def _reduced(full: Float32, scale: tuple[int, int]) -> Float32:
    """The means of `full` (C, h, w) over cells of `scale` = w, h pixels."""
    if scale == (1, 1):
        return full
    _, height, width = full.shape
    size = (width // scale[0], height // scale[1])
    return np.stack([cast(Float32, cv2.resize(plane, size, interpolation=cv2.INTER_AREA)) for plane in full])


def _any(flags: Bools, high: int, wide: int) -> Bools:
    """Whether any of `flags` is set in each cell of `high` × `wide`."""
    rows, columns = flags.shape[0] // high, flags.shape[1] // wide
    # One axis at a time, the outer first: that reads memory as it lies.
    down: Bools = np.logical_or.reduce(flags.reshape(rows, high, columns * wide), axis=1)
    both: Bools = np.logical_or.reduce(down.reshape(rows, columns, wide), axis=2)
    return both


def _blocks(plane: Float32) -> Float32:
    """A view of `plane` (8h, 8w) as (h, w, 8, 8)."""
    return plane.reshape(plane.shape[0] // BLOCK, BLOCK, -1, BLOCK).swapaxes(1, 2)
