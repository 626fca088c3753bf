"""The metadata that a picture may carry: orientation, projection, color profile.

The first two are rebuilt from their values, never copied; the profile is kept byte for byte, once it is seen to be one.
"""

import struct
from dataclasses import dataclass

from service.imaging.containers.ifd import TiffReader
from service.imaging.formats import ImageFormat
from service.imaging.gpano import rebuild_gpano
from service.imaging.raster import ColorModel, Raster

ORIENTATION = 0x0112
SHORT = 3
ICC_HEADER = 128
ICC_SPACES = {ColorModel.GRAY: b"GRAY", ColorModel.RGB: b"RGB ", ColorModel.CMYK: b"CMYK"}


def orientation_of(exif: bytes) -> int:
    """EXIF orientation 1..8 of a TIFF-structured `exif` block; 1 if it is absent, out of range or the block is broken.

    A damaged block must not cost the picture: readers show such a file unturned.
    """
    try:
        reader = TiffReader(exif)
        entry = reader.directory(reader.first_offset).entries[ORIENTATION]
        value = reader.integers(entry)[0]
    except (ValueError, KeyError, IndexError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1  # noqa: PLR2004 - the eight ways to turn a picture


def exif_with(orientation: int) -> bytes:
    """An EXIF block (TIFF structure, 26 bytes) that says `orientation` and nothing else."""
    entry = struct.pack(">HHIHH", ORIENTATION, SHORT, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def usable_profile(icc: bytes | None, color: ColorModel) -> bytes | None:
    """`icc` if it is a profile for `color` (ICC.1 §7.2), cut to the size it states; else None, as readers ignore it.

    Bytes after the stated size belong to no profile, so nobody misses them, and they could be anything.
    """
    if icc is None or len(icc) < ICC_HEADER or icc[36:40] != b"acsp" or icc[16:20] != ICC_SPACES[color]:
        return None
    (size,) = struct.unpack_from(">I", icc)
    return icc[:size] if ICC_HEADER <= size <= len(icc) else None


@dataclass(frozen=True, slots=True)
class Carried:
    """All that a finished file carries beside its pixels; width and height are as stored in it."""

    width: int
    height: int
    orientation: int
    color: ColorModel
    icc: bytes | None
    gpano: bytes | None
    pixels_per_mm: tuple[float, float]

    @property
    def exif(self) -> bytes | None:
        """The EXIF block, or None where there is nothing to say."""
        return exif_with(self.orientation) if self.orientation > 1 else None


def carried(raster: Raster, to: ImageFormat) -> Carried:
    """What a file of format `to` carries of `raster` in metadata mode `strip`.

    JPEG keeps the stored pixels and the tag, which all readers honor. In PNG, WebP and TIFF many readers ignore the tag
    (browsers for PNG; OpenCV, GDAL and tifffile for TIFF), so these are written upright.
    """
    color = output_color(raster, to)
    icc = usable_profile(raster.icc, raster.color) if color is raster.color else None
    gpano = rebuild_gpano(raster.gpano)[0] if raster.gpano else None
    stored_height, stored_width = raster.pixels.shape[:2]
    if to is ImageFormat.JPEG:
        return Carried(stored_width, stored_height, raster.orientation, color, icc, gpano, raster.pixels_per_mm)
    across, down = raster.pixels_per_mm
    density = (across, down) if raster.orientation <= 4 else (down, across)  # noqa: PLR2004 - 5..8 swap the axes
    return Carried(raster.width, raster.height, 1, color, icc, gpano, density)


def output_color(raster: Raster, to: ImageFormat) -> ColorModel:
    """The color model that `raster` has in a file of format `to`.

    PNG has no CMYK; WebP has RGB only, so gray becomes RGB there, in appearance the same.
    """
    if to is ImageFormat.WEBP or (to is ImageFormat.PNG and raster.color is ColorModel.CMYK):
        return ColorModel.RGB
    return raster.color
