"""Pictures in which the detectors must find something, made of what the test dependencies bring along."""

import functools

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from service.imaging.raster import ColorModel, Raster

FACE = (188, 75, 256, 160)
"""Inside the face of the portrait: x1, y1, x2, y2."""

PLATE = (430, 520, 540, 545)
"""The plate of `street()`: x1, y1, x2, y2."""


@functools.cache
def street() -> npt.NDArray[np.uint8]:
    """(640, 640, 3) uint8 RGB: NASA's public-domain portrait (one face), and a drawn car with a plate before it."""
    canvas = np.full((640, 640, 3), 114, np.uint8)
    canvas[:512, :512] = data.astronaut()
    cv2.rectangle(canvas, (350, 420), (620, 600), (52, 58, 74), cv2.FILLED)
    cv2.rectangle(canvas, (350, 420), (620, 470), (84, 92, 110), cv2.FILLED)
    for x in (365, 560):
        cv2.rectangle(canvas, (x, 480), (x + 45, 505), (150, 40, 36), cv2.FILLED)
    cv2.rectangle(canvas, (350, 575), (620, 600), (34, 36, 40), cv2.FILLED)
    x1, y1, x2, y2 = PLATE
    cv2.rectangle(canvas, (x1, y1), (x2, y2), (236, 236, 228), cv2.FILLED)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), (20, 20, 20), 1)
    cv2.putText(canvas, "AB 123 CD", (x1 + 6, y2 - 6), cv2.FONT_HERSHEY_DUPLEX, 0.6, (16, 16, 20), 1, cv2.LINE_AA)
    blurred = cv2.GaussianBlur(canvas[400:, 340:], (3, 3), 0)
    canvas[400:, 340:] = blurred
    noise = np.random.default_rng(0).integers(-4, 5, canvas.shape)
    picture = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    picture.setflags(write=False)
    return picture


def raster(pixels: npt.NDArray[np.uint8]) -> Raster:
    """RGB `pixels` as a decoded picture."""
    return Raster(np.ascontiguousarray(pixels), ColorModel.RGB, alpha=False)
