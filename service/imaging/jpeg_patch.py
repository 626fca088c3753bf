"""A JPEG with nothing changed but the blocks that a mask reaches, quantized with the file's own tables.

The obscured picture is composited in the planes of the file's components, as they are subsampled, from what the decoded
coefficients say: no other block, and no sample that the mask leaves alone, takes a way through pixels and back.

A coded block of 8 × 8 samples tells of all its samples by each of its coefficients, rounding errors included: where a
part is hidden, the visible rest still rings of it. So a block in which anything is hidden is never looked at. What it
shows beside the mask is filled in from the blocks around it. The decision: docs/decisions/0006-jpeg-patch.md.
"""

from collections import defaultdict

import numpy as np

from service.imaging.color import YCBCR
from service.imaging.containers import jpeg
from service.imaging.containers.jpeg_frame import Coding, Frame, read_frame
from service.imaging.containers.jpeg_scans import as_coded
from service.imaging.dct import Coefficients
from service.imaging.detections import Float32
from service.imaging.formats import ImageFormat
from service.imaging.jpeg_blocks import Layered, composite, layered
from service.imaging.jpeg_grid import Grid, grid_of, jobs, touched
from service.imaging.jpeg_sheet import Part, Sheet, sheets
from service.imaging.jpeg_turn import turned_upright
from service.imaging.layers import Cover
from service.imaging.metadata import STRIP, carried
from service.imaging.outlines import Bools
from service.imaging.overlay import Overlay, lay
from service.imaging.raster import upright_view
from service.imaging.source import Source
from service.imaging.turbojpeg import Edit, TurboJpeg, Unsupported
from service.imaging.turning import to_stored, to_upright
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

    A progressive file stays so, or becomes sequential if not `keep_progressive`. To code it anew takes longer than to
    find that there is nothing to hide: then its scans stay as they are, if nothing else can be in them. If the cover is
    for the picture stored upright, the source is turned. None if it is of a kind that the library or this module cannot
    patch or turn.

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
    # Adobe's marker says RGB, or that inks are inverted; libjpeg writes it for any CMYK, even if none was there.
    adobe = frame.coding is Coding.RGB or (len(frame.components) == CMYK and frame.adobe)
    extra = carried(cover.raster, ImageFormat.JPEG, keep)
    if progressive and work.edit is None:
        same = as_coded(source.data, adobe=adobe)
        if same is not None:
            return jpeg.attach(same, extra)
    try:
        patched = library.transform(source.data, work.edit, progressive=progressive, optimize=not frame.standard_codes)
    except Unsupported:
        return None
    return jpeg.attach(jpeg.bare(patched, adobe=adobe), extra)


class _Patch:
    """One picture's blocks around its masks, between being read and being written."""

    def __init__(self, cover: Cover, frame: Frame, grid: Grid) -> None:
        self._cover, self._frame, self._grid = cover, frame, grid
        self._size = cover.raster.width, cover.raster.height
        windows = [to_stored(each, cover.raster.orientation, *self._size) for each in cover.windows]
        self._sheets = list(sheets(jobs(grid, touched(grid, windows)), grid))
        self._by_row: dict[tuple[int, int], list[Part]] = defaultdict(list)
        for sheet in self._sheets:
            for component, plane in enumerate(sheet.planes):
                for part in plane.parts:
                    for row in range(part.top, part.top + len(part.blocks)):
                        self._by_row[component, row].append(part)
        self._done = False

    @property
    def edit(self) -> Edit | None:
        """None if there is nothing to change."""
        return Edit(frozenset(self._by_row), self._read, self._write) if self._sheets else None

    def _read(self, component: int, row: int, blocks: Coefficients) -> None:
        for part in self._by_row[component, row]:
            part.read(row, blocks)

    def _write(self, component: int, row: int, blocks: Coefficients) -> None:
        if not self._done:
            for sheet in self._sheets:
                self._composite(sheet)
            self._done = True
        for part in self._by_row[component, row]:
            part.write(row, blocks)

    def _composite(self, sheet: Sheet) -> None:
        """Changes the blocks of `sheet`."""
        paint, hidden = self._overlay(sheet)
        matrix, offset = MODELS[self._frame.coding]
        to_components = np.hstack([matrix, offset[:, None]])
        sampled: dict[tuple[int, int], Layered] = {}
        for i, (blocks, plane) in enumerate(zip(sheet.planes, self._grid.planes, strict=True)):
            scale = plane.pixels_across, plane.pixels_down
            if scale not in sampled:
                sampled[scale] = layered(paint, hidden, scale)
            composite(blocks, sampled[scale], to_components[i], self._frame.components[i].steps)

    def _overlay(self, sheet: Sheet) -> tuple[Float32, Bools]:
        """Paint and what is hidden, as stored, over the whole MCUs of `sheet`; beyond the picture as at its edge."""
        raster, grid, frame = self._cover.raster, self._grid, self._frame
        paint = np.zeros((raster.color.channels + 1, sheet.height, sheet.width), np.float32)
        hidden = np.zeros((sheet.height, sheet.width), np.bool_)
        for job, at in zip(sheet.jobs, sheet.lefts, strict=True):
            x1, y1 = job.left * grid.mcu_width, job.top * grid.mcu_height
            x2, y2 = job.right * grid.mcu_width, job.bottom * grid.mcu_height
            window = (x1, y1, min(x2, frame.width), min(y2, frame.height))
            wide, high = x2 - x1, y2 - y1
            place = np.s_[:high, at * grid.mcu_width : at * grid.mcu_width + wide]
            inside = np.s_[: window[3] - y1, : window[2] - x1]
            shown = paint[:, *place][:, *inside].transpose(1, 2, 0)
            over = Overlay(
                upright_view(shown, raster.orientation).transpose(2, 0, 1),
                upright_view(hidden[place][inside], raster.orientation),
            )
            lay(over, self._cover, to_upright(window, raster.orientation, *self._size))
            if window[2:] != (x2, y2):
                beyond = ((0, y2 - window[3]), (0, x2 - window[2]))
                for each in (*paint, hidden):
                    each[place] = np.pad(each[place][inside], beyond, mode="edge")
        return paint, hidden
