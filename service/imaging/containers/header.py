"""What the header of any of the formats says, in the same words."""

from dataclasses import dataclass

from service.imaging.raster import ColorModel

MAX_PROFILE_BYTES = 16 * 1024 * 1024
"""Largest ICC profile that is kept: what JPEG can carry at most (255 segments of 64 KiB)."""

MAX_XMP_BYTES = 1024 * 1024
"""Largest XMP packet that is looked into for the projection."""


@dataclass(frozen=True, slots=True)
class Header:
    """One picture as stored, not turned.

    `bit_depth`: of the decoded samples, 8 or 16. `orientation`: EXIF 1..8. `icc`, `exif` (as a TIFF structure, without
    prefix) and `xmp`: as embedded, unchecked. `png_color`: chunks (name, payload) that say what PNG's numbers mean.
    `lossless`: the coding lost nothing. `full_chroma`: color is stored at more than half the resolution each way.
    `precision`: bits of a sample as coded, where these are not 8 or 16 (10 or 12, mostly); 0 if nobody cares.
    """

    width: int
    height: int
    bit_depth: int
    color: ColorModel
    alpha: bool
    orientation: int = 1
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    lossless: bool = True
    full_chroma: bool = True
    png_color: tuple[tuple[bytes, bytes], ...] = ()
    precision: int = 0
