"""A JPEG turned upright by its coefficients: blocks change places and signs, and no value is rounded."""

from dataclasses import replace

from service.imaging.containers.jpeg_frame import Frame, read_frame
from service.imaging.jpeg_grid import grid_of
from service.imaging.source import Source
from service.imaging.turbojpeg import TurboJpeg, Unsupported

COLORS = 3
"""Components at most: with inks, the library says that they are inverted, whether the file did or not."""


def turns_whole(source: Source) -> bool:
    """Whether `source`, a JPEG, can be turned: where an MCU reaches beyond the picture, it would end up inside of it.

    Raises CorruptImage for broken tables.
    """
    frame = read_frame(source.data)
    return frame is not None and _turns_whole(frame)


def turned_upright(source: Source, library: TurboJpeg) -> Source | None:
    """`source`, a JPEG, stored as it is displayed and without metadata in the file; None if it cannot be turned.

    Raises CorruptImage if it is damaged.
    """
    frame = read_frame(source.data)
    if frame is None or not _turns_whole(frame):
        return None
    progressive, optimize = frame.progressive, not frame.standard_codes
    try:
        data = library.turn(source.data, source.orientation, progressive=progressive, optimize=optimize)
    except Unsupported:
        return None
    return replace(source, data=data, orientation=1, stored_width=source.width, stored_height=source.height)


def _turns_whole(frame: Frame) -> bool:
    grid = grid_of(frame)
    whole = grid is not None and frame.width % grid.mcu_width == 0 and frame.height % grid.mcu_height == 0
    return whole and len(frame.components) <= COLORS
