"""Tiles of a folder's pictures, as the detectors see them, to calibrate 8-bit models by."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.errors import UploadRejected
from service.imaging.codec import decode
from service.imaging.source import SourceLimits, inspect
from service.imaging.views import Pyramid, plan_views
from service.models.catalog import ModelSpec
from service.policy import Effort
from service.settings import Settings

PER_PICTURE = 4
"""Tiles of one picture, spread over its levels, so that a large one does not decide alone."""


def calibration_tiles(
    folder: Path, most: int, settings: Settings
) -> Callable[[ModelSpec], Iterator[npt.NDArray[np.uint8]]]:
    """For a model: up to `most` tiles (1, height, width, 3) of the pictures in `folder`, by name. Others are passed."""

    def tiles(spec: ModelSpec) -> Iterator[npt.NDArray[np.uint8]]:
        left = most
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            for tile in _of_picture(path, spec, settings):
                if not left:
                    return
                left -= 1
                yield tile

    return tiles


def _of_picture(path: Path, spec: ModelSpec, settings: Settings) -> Iterator[npt.NDArray[np.uint8]]:
    try:
        raster = decode(inspect(path.read_bytes(), SourceLimits(settings.limits.max_pixels, settings.limits.max_side)))
    except UploadRejected:
        return
    views = plan_views(
        raster.width,
        raster.height,
        tile_width=spec.tile_width,
        tile_height=spec.tile_height,
        overlap=settings.detection.overlap,
        effort=Effort.BALANCED,
    )
    pyramid = Pyramid(raster)
    for view in views[:: max(1, -(-len(views) // PER_PICTURE))]:
        yield pyramid.tile(view)[np.newaxis]
