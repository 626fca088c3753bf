"""Pixels in memory, as stored in the file, and the same pixels seen upright."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from service.imaging.turning import FLIPPED, MIRRORED, TRANSPOSED

UInt8Image = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Scalar = TypeVar("Scalar", bound=np.generic)


class ColorModel(StrEnum):
    """Meaning of the color channels; CMYK is stored as ink (0 none, 255 full)."""

    GRAY = "gray"
    RGB = "rgb"
    CMYK = "cmyk"

    @property
    def channels(self) -> int:
        return {"gray": 1, "rgb": 3, "cmyk": 4}[self.value]


@dataclass(frozen=True, slots=True)
class Raster:
    """A decoded picture.

    `pixels`: (H, W, C) uint8 or uint16, C-contiguous, as stored (not rotated); C = color channels, plus one if `alpha`.
    `orientation`: EXIF 1..8. `icc`: the embedded profile, byte for byte. `gpano`: whitelisted XMP packet or None.
    `exif`, `xmp`, `png_color`: as embedded, unchecked (see `containers.header`); `metadata` picks from them.
    `lossless`, `full_chroma`, `precision`: how the source was coded, so that it is coded alike again (see there).
    """

    pixels: Pixels
    color: ColorModel
    alpha: bool
    orientation: int = 1
    icc: bytes | None = None
    gpano: bytes | None = None
    pixels_per_mm: tuple[float, float] = (1.0, 1.0)
    lossless: bool = False
    full_chroma: bool = True
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    png_color: tuple[tuple[bytes, bytes], ...] = ()
    precision: int = 0

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != self.color.channels + self.alpha:  # noqa: PLR2004
            raise ValueError(f"pixels of shape {self.pixels.shape} do not fit {self.color} with alpha={self.alpha}")
        if not 1 <= self.orientation <= 8:  # noqa: PLR2004
            raise ValueError("orientation must be 1..8")

    def without_pixels(self) -> "Raster":
        """Everything but the pixels, of which only the shape and the dtype are left: read-only zeros in no memory."""
        return replace(self, pixels=np.broadcast_to(np.zeros((), self.pixels.dtype), self.pixels.shape))

    @property
    def upright(self) -> Pixels:
        """The same memory seen as displayed: (H', W', C), strided, no copy; writing to it writes to `pixels`."""
        return cast(Pixels, upright_view(self.pixels, self.orientation))

    @property
    def width(self) -> int:
        """Pixels across, seen upright."""
        return int(self.upright.shape[1])

    @property
    def height(self) -> int:
        """Pixels down, seen upright."""
        return int(self.upright.shape[0])


def upright_view(pixels: npt.NDArray[Scalar], orientation: int) -> npt.NDArray[Scalar]:
    """`pixels` (H, W, ...) turned for display by EXIF `orientation` 1..8 (Exif 3.0, tag 0x0112), without copying."""
    if orientation in TRANSPOSED:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in FLIPPED:
        pixels = pixels[::-1]
    if orientation in MIRRORED:
        pixels = pixels[:, ::-1]
    return pixels
