"""What a finished BMP file may consist of."""

from service.imaging.containers import bmp
from service.imaging.metadata import Carried
from service.imaging.raster import ColorModel
from service.imaging.verify_metadata import require
from service.policy import MetadataPolicy


def check_bmp(data: bytes, expected: Carried, _: MetadataPolicy) -> None:
    """Returns if `data` is the one head that there can be, rows with nothing in their padding, and the profile.

    Raises OutputRefused, or what reading a broken header raises.
    """
    layout = bmp.read_layout(data)
    require((layout.width, layout.height) == (expected.width, expected.height), "another size")
    require(layout.bits in (24, 32) or (layout.bits == 8 and expected.color is ColorModel.GRAY), "another depth")  # noqa: PLR2004
    head = bmp.written_head(expected, layout.bits)
    end = len(head) + layout.stride * layout.height
    require(data.startswith(head) and layout.offset == len(head), "another header")
    require(data[end:] == (expected.icc or b""), "another profile, or bytes after the picture")
    used = layout.width * layout.bits // 8
    if used < layout.stride:
        rows = range(len(head), end, layout.stride)
        require(not any(any(data[row + used : row + layout.stride]) for row in rows), "bytes between the rows")
