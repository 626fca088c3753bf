"""Which part of the sphere a picture shows, if any: as GPano says, as the caller says, or as its borders look."""

from dataclasses import dataclass

import cv2
import numpy as np

from service.errors import InvalidRequest, OptionProblem
from service.imaging.color import LUMA, to_rgb8
from service.imaging.detections import Float32
from service.imaging.gpano import Crop, read_crop
from service.imaging.raster import Pixels, Raster
from service.imaging.source import Source
from service.imaging.sphere import Sphere
from service.imaging.turning import FLIPPED, MIRRORED, TRANSPOSED
from service.policy import Projection

PIXELS_OFF = 2
"""By how many pixels a picture may miss 2:1: what rounding of a scaled panorama does."""

RATIO_OFF = 0.02
"""Relative difference of shapes up to which a GPano crop is that of the picture, scaled."""

MIN_WIDTH = 1024
"""Pixels; below it nothing is concluded from the look of a picture."""

DETAIL = 2.0
"""Least standard deviation, in gray levels, of the fine structure along the borders for it to prove anything."""

ALIKE = 0.7
"""Least correlation of the fine structure of the left and right border of a panorama."""

EVEN = 16.0
"""Largest standard deviation, in gray levels, along the top or bottom row of a panorama: each shows one point."""

FINE = 16
"""Pixels beyond which structure is not fine, at `MIN_WIDTH`; larger pictures are scaled down to it."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What decides without a pixel: the size upright, how it is turned, the GPano packet and whether it is of use."""

    width: int
    height: int
    orientation: int
    gpano: bytes | None

    @property
    def two_to_one(self) -> bool:
        return abs(self.width - 2 * self.height) <= PIXELS_OFF


def check_projection(source: Source, wanted: Projection) -> None:
    """Refuses `wanted` where it cannot be, before a pixel is decoded. Raises InvalidRequest."""
    _declared(_Frame(source.width, source.height, source.orientation, source.gpano), wanted)


def sphere_of(raster: Raster, wanted: Projection) -> Sphere | None:
    """Where `raster`, seen upright, lies on the sphere; None if it is searched as a flat picture.

    `equirectangular` takes the part that GPano names, else the whole sphere if the picture is 2:1. `auto` takes GPano's
    word where it fits the picture, and else a 2:1 picture whose left and right border are neighbors and whose top and
    bottom row show one point each.

    Raises InvalidRequest if `equirectangular` is wanted and cannot be.
    """
    frame = _Frame(raster.width, raster.height, raster.orientation, raster.gpano)
    sphere = _declared(frame, wanted)
    if sphere is None and wanted is Projection.AUTO and frame.two_to_one and looks_whole(raster):
        return Sphere.whole(raster.width, raster.height)
    return sphere


def _declared(frame: _Frame, wanted: Projection) -> Sphere | None:
    if wanted is Projection.PLANAR:
        return None
    said = _by_gpano(frame)
    if said is not None or wanted is Projection.AUTO:
        return said
    if frame.two_to_one:
        return Sphere.whole(frame.width, frame.height)
    reason = (
        f"an equirectangular picture is twice as wide as high, and this one, upright, is {frame.width} × {frame.height}"
        + ("; its GPano crop does not fit it" if frame.gpano else "; a part of one needs GPano tags that say which")
    )
    raise InvalidRequest([OptionProblem("/projection", reason)])


def _by_gpano(frame: _Frame) -> Sphere | None:
    """The part that the packet names, None if it names none or none of the picture's shape."""
    if frame.gpano is None or b'"equirectangular"' not in frame.gpano or frame.orientation in TRANSPOSED:
        return None
    crop = read_crop(frame.gpano)
    if crop.width is None or crop.height is None or crop.full_width is None or crop.full_height is None:
        return Sphere.whole(frame.width, frame.height) if frame.two_to_one else None
    if not _sound(crop, crop.width, crop.height, crop.full_width, crop.full_height):
        return Sphere.whole(frame.width, frame.height) if frame.two_to_one else None
    if abs(crop.width * frame.height / (crop.height * frame.width) - 1) > RATIO_OFF:
        return None
    across, down = frame.width / crop.width, frame.height / crop.height
    # The tags speak of the pixels as stored.
    left = crop.full_width - crop.width - crop.left if frame.orientation in MIRRORED else crop.left
    top = crop.full_height - crop.height - crop.top if frame.orientation in FLIPPED else crop.top
    return Sphere(
        frame.width, frame.height, crop.full_width * across, crop.full_height * down, left * across, top * down
    )


def _sound(crop: Crop, width: int, height: int, full_width: int, full_height: int) -> bool:
    """Whether the numbers describe a part of a sphere."""
    if min(width, height, full_width, full_height) < 1 or abs(full_width / (2 * full_height) - 1) > RATIO_OFF:
        return False
    return crop.left + width <= full_width + PIXELS_OFF and crop.top + height <= full_height + PIXELS_OFF


def looks_whole(raster: Raster) -> bool:
    """Whether the borders of `raster`, seen upright, are those of a whole panorama.

    A picture without detail along its sides proves nothing and is not taken for one.
    """
    width, height = raster.width, raster.height
    if width < MIN_WIDTH:
        return False
    step = width / MIN_WIDTH
    edge = max(1, round(step))
    sides = [_gray(part, raster).mean(axis=1) for part in (raster.upright[:, :edge], raster.upright[:, -edge:])]
    left, right = (_fine(side, max(1, round(height / step))) for side in sides)
    if min(left.std(), right.std()) < DETAIL or float(np.corrcoef(left, right)[0, 1]) < ALIKE:
        return False
    rows = [_gray(raster.upright[y : y + 1], raster)[0] for y in (0, height - 1)]
    return all(float(_shrunk(row, MIN_WIDTH).std()) <= EVEN for row in rows)


def _gray(part: Pixels, raster: Raster) -> Float32:
    gray: Float32 = to_rgb8(part, raster.color).astype(np.float32) @ LUMA
    return gray


def _shrunk(line: Float32, size: int) -> Float32:
    return np.asarray(cv2.resize(line[None, :], (size, 1), interpolation=cv2.INTER_AREA)[0], np.float32)


def _fine(line: Float32, size: int) -> Float32:
    """The structure of `line`, scaled to `size`, without what changes slowly: a sky above a road correlates anyway."""
    small = _shrunk(line, size)
    slow = cv2.GaussianBlur(small[None, :], (0, 0), FINE / 2, borderType=cv2.BORDER_REPLICATE)[0]
    return np.asarray(small - slow, np.float32)
