"""How much memory a picture will need, said from its header: an upper bound that is not far off."""

from collections.abc import Mapping

from service.errors import InvalidRequest
from service.imaging.containers.jpeg import read_segments
from service.imaging.containers.jpeg_frame import PROGRESSIVE
from service.imaging.formats import ImageFormat, output_format
from service.imaging.source import Source
from service.policy import Policy

MIB = 1024 * 1024

FIXED = 64 * MIB
"""Tiles under way, masks, strips of libvips: what does not grow with the picture, or hardly."""

COPIES = 4
"""Times that the file is in memory: as it came, reduced to its pixels, coded anew, with its metadata."""

LEVELS = 1
"""Bytes per pixel of all halved levels together: a third of 3."""

COEFFICIENT = 2
"""Bytes of a coefficient in libjpeg's arrays."""

PANORAMA_BAND = 50 * 4 * 128
"""Bytes per pixel of a face's side for making a panorama: 128 rows of 4 sides at a time."""

DECODERS = {ImageFormat.JPEG: 0.6, ImageFormat.TIFF: 1.0, ImageFormat.PNG: 1.0, ImageFormat.BMP: 1.0}
"""What a decoder holds besides the raster, in rasters; other formats twice. Not at the same time as the levels."""

ENCODERS = {ImageFormat.JPEG: 0.25, ImageFormat.BMP: 2.0, ImageFormat.TIFF: 2.0, ImageFormat.PNG: 2.0}
"""The same for encoders, with what they write; other formats four times."""


def footprint(source: Source, policy: Policy, *, patching: bool) -> int:
    """Bytes that `source` will need at most at a time under `policy`; `patching`: JPEGs can be patched here."""
    pixels = source.stored_width * source.stored_height
    raster = _raster(source)
    jpeg = source.format is ImageFormat.JPEG
    samples = pixels * source.color.channels
    coefficients = COEFFICIENT * (samples if source.full_chroma else samples // 2)
    decoding = raster + max(int(raster * DECODERS.get(source.format, 2.0)), coefficients if _progressive(source) else 0)
    searching = raster + LEVELS * pixels
    turning = 2 * raster if source.orientation != 1 and (policy.upright or not jpeg) else 0
    to = _written(source, policy)
    patched = jpeg and to is ImageFormat.JPEG and patching and not policy.reencode
    encoding = coefficients if patched else raster + int(raster * ENCODERS.get(to, 4.0)) if to else 0
    return FIXED + COPIES * len(source.data) + max(decoding, searching, turning, encoding)


def cube_footprint(sources: Mapping[str, Source], policy: Policy, *, patching: bool) -> int:
    """The same for the six faces of a cube: all of them and their panorama, then one after the other."""
    files = COPIES * sum(len(each.data) for each in sources.values())
    side = max(each.stored_width for each in sources.values())
    rasters = sum(_raster(each) + 3 * each.stored_width**2 for each in sources.values())
    panorama = 8 * side**2
    together = max(rasters + 3 * panorama + PANORAMA_BAND * side, (3 + LEVELS) * panorama)
    alone = max(footprint(each, policy, patching=patching) for each in sources.values())
    return files + max(FIXED + together, alone)


def _raster(source: Source) -> int:
    return source.stored_width * source.stored_height * (source.color.channels + source.alpha) * (source.bit_depth // 8)


def _written(source: Source, policy: Policy) -> ImageFormat | None:
    """The format that a picture is written in; None if it cannot be, which only matters to whoever wants one."""
    try:
        return output_format(source.format, policy.format)
    except InvalidRequest:
        return None


def _progressive(source: Source) -> bool:
    """Whether it is a JPEG whose decoder holds all coefficients."""
    if source.format is not ImageFormat.JPEG:
        return False
    return any(each.marker in PROGRESSIVE for each in read_segments(source.data, head=True)[0])
