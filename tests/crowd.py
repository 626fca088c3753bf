"""A crowd of real faces at known places: those of Labeled Faces in the Wild that scikit-image ships."""

import functools

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

Box = tuple[float, float, float, float]

COLUMNS, ROWS = 6, 2
SKIN = (1.0, 0.82, 0.7)
"""What gray is multiplied by: the photographs have no color."""


@functools.cache
def crowd(side: int) -> tuple[npt.NDArray[np.uint8], tuple[Box, ...]]:
    """(6 · side, 14 · side, 3) uint8 RGB: twelve faces of `side` pixels before gravel, and the box of each."""
    cell = 2 * side
    height, width = (ROWS + 1) * cell, (COLUMNS + 1) * cell
    gravel = np.tile(data.gravel(), (height // 512 + 1, width // 512 + 1))[:height, :width]
    picture = np.stack([gravel // 2 + 60] * 3, axis=-1).astype(np.float32)
    oval = np.zeros((side, side, 1), np.float32)
    cv2.ellipse(oval, (side // 2, side // 2), (round(side * 0.42), side // 2), 0, 0, 360, (1,), cv2.FILLED, cv2.LINE_AA)
    boxes = []
    for number in range(ROWS * COLUMNS):
        gray = cv2.resize(data.lfw_subset()[7 * number] * 255, (side, side), interpolation=cv2.INTER_CUBIC)
        face = np.clip(gray[..., None] * np.array(SKIN), 0, 255)
        row, column = divmod(number, COLUMNS)
        x, y = cell * column + cell - side // 2, cell * row + cell - side // 2
        place = picture[y : y + side, x : x + side]
        place[:] = place + oval * (face - place)
        boxes.append((x + 0.1 * side, y + 0.03 * side, x + 0.9 * side, y + 0.97 * side))
    finished = np.rint(picture).astype(np.uint8)
    finished.setflags(write=False)
    return finished, tuple(boxes)
