"""Pixels out of JPEG 2000 codestreams, by the OpenJPEG inside OpenCV."""

from typing import cast

import cv2
import numpy as np

from service.errors import CorruptImage
from service.imaging.containers import jp2
from service.imaging.precision import widen
from service.imaging.raster import Pixels

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what a file makes a decoder say is not logged

IN_RGB_ORDER = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}
"""OpenCV has blue first."""


def decode_jp2(data: bytes) -> Pixels:
    """The components of `data` as (H, W, C) uint8 or uint16, spread over all bits of these.

    Raises CorruptImage if OpenJPEG refuses.
    """
    _, stream = jp2.read_structure(data)
    try:
        found = cv2.imdecode(np.frombuffer(jp2.pixels_only(data), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise CorruptImage(cause=f"decoder: {error.err}") from None
    if found is None:
        raise CorruptImage(cause="decoder: no picture")
    pixels = found if found.ndim == 3 else found[:, :, None]  # noqa: PLR2004
    order = IN_RGB_ORDER.get(pixels.shape[2])
    if order is None or pixels.shape != (stream.height, stream.width, stream.components):
        raise CorruptImage(cause=f"decoder: {pixels.shape}")
    return widen(cast(Pixels, np.ascontiguousarray(pixels[:, :, order])), stream.depth)
