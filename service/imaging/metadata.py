"""The metadata that a finished picture carries: built from whitelists, in three modes, never by leaving things out.

- `strip`: color profile, orientation, projection of panoramas.
- `geo`: also position, time of capture, camera make and model, attitude of the camera.
- `keep`: also every EXIF tag and XMP property that is known to hold plain values (`exif_tags`, `xmp_properties`), names
  of people and serial numbers only where the deployment says so.

Nothing that could be a picture or free bytes is kept in any mode. IPTC, Photoshop resources, comments and PNG texts are
never kept: what they say is in EXIF and XMP too, where programs of this century wrote it.
"""

import struct
from dataclasses import dataclass, field

from service.imaging.containers.ifd import TiffReader
from service.imaging.exif import Exif, orientation_field, oriented, select
from service.imaging.exif_tags import ORIENTATION, Group, Selection
from service.imaging.formats import ImageFormat
from service.imaging.gpano import rebuild_gpano
from service.imaging.raster import ColorModel, Raster
from service.imaging.signatures import holds_picture
from service.imaging.xmp import rebuild
from service.imaging.xmp_properties import keeps
from service.policy import MetadataMode, MetadataPolicy

STRIP = MetadataPolicy()
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
    return Exif(">", {Group.IMAGE: {ORIENTATION: orientation_field(">", orientation)}}).block()


def usable_profile(icc: bytes | None, color: ColorModel) -> bytes | None:
    """`icc` if it is a profile for `color` (ICC.1 §7.2), cut to the size it states; else None, as readers ignore it.

    Bytes after the stated size belong to no profile, so nobody misses them, and they could be anything. A profile with
    a picture in one of its private tags is none.
    """
    if icc is None or len(icc) < ICC_HEADER or icc[36:40] != b"acsp" or icc[16:20] != ICC_SPACES[color]:
        return None
    (size,) = struct.unpack_from(">I", icc)
    return icc[:size] if ICC_HEADER <= size <= len(icc) and not holds_picture(icc[:size]) else None


@dataclass(frozen=True, slots=True)
class Carried:
    """All that a finished file carries beside its pixels; width and height are as stored in it.

    `xmp`: the packet. `exif`: the block, None where there is nothing to say. `directories`: its fields, for formats
    with directories of their own. `png_color`: as in Header.
    """

    width: int
    height: int
    orientation: int
    color: ColorModel
    icc: bytes | None
    xmp: bytes | None
    pixels_per_mm: tuple[float, float]
    exif: bytes | None = None
    directories: Exif = field(default_factory=Exif)
    png_color: tuple[tuple[bytes, bytes], ...] = ()


def carried(raster: Raster, to: ImageFormat, keep: MetadataPolicy = STRIP) -> Carried:
    """What a file of format `to` carries of `raster` if `keep` is the policy.

    JPEG keeps the stored pixels and the tag, which all readers honor. In the other formats many readers ignore the tag
    (browsers for PNG; OpenCV, GDAL and tifffile for TIFF), so these are written upright.
    """
    color = output_color(raster, to)
    upright = to is not ImageFormat.JPEG
    orientation = 1 if upright else raster.orientation
    height, width = (raster.height, raster.width) if upright else raster.pixels.shape[:2]
    across, down = raster.pixels_per_mm
    if upright and raster.orientation > 4:  # noqa: PLR2004 - 5..8 swap the axes
        across, down = down, across
    directories = _directories(raster, to, keep, orientation)
    return Carried(
        width=width,
        height=height,
        orientation=orientation,
        color=color,
        icc=usable_profile(raster.icc, raster.color) if color is raster.color else None,
        xmp=_packet(raster, keep),
        pixels_per_mm=(across, down),
        exif=directories.block() if directories else None,
        directories=directories,
        png_color=raster.png_color if to is ImageFormat.PNG and color is raster.color else (),
    )


def _packet(raster: Raster, keep: MetadataPolicy) -> bytes | None:
    """The XMP packet that `keep` calls for."""
    if keep.mode is MetadataMode.STRIP or raster.xmp is None:
        return rebuild_gpano(raster.gpano)[0] if raster.gpano else None
    return rebuild(raster.xmp, lambda known: keeps(known, keep))


def _directories(raster: Raster, to: ImageFormat, keep: MetadataPolicy, orientation: int) -> Exif:
    """The EXIF fields that `keep` calls for."""
    if keep.mode is MetadataMode.STRIP:
        return oriented(orientation)
    turned = raster.exif is not None and orientation_of(raster.exif) != orientation
    selection = Selection(keep, upright=turned, in_tiff=to is ImageFormat.TIFF)
    return select(raster.exif, selection, orientation)


def output_color(raster: Raster, to: ImageFormat) -> ColorModel:
    """The color model that `raster` has in a file of format `to`.

    PNG and BMP have no CMYK; WebP and AVIF (as libvips makes it) have RGB only, so gray becomes RGB there, the same in
    appearance. So it does in BMP if it has alpha or a profile.
    """
    if to in (ImageFormat.WEBP, ImageFormat.AVIF):
        return ColorModel.RGB
    if raster.color is ColorModel.CMYK and to in (ImageFormat.PNG, ImageFormat.BMP):
        return ColorModel.RGB
    if raster.color is ColorModel.GRAY and to is ImageFormat.BMP and (raster.alpha or raster.icc):
        return ColorModel.RGB
    return raster.color
