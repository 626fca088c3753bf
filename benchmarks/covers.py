"""Masks, sunglasses and helmets drawn over faces, to see what they cost the detector.

Proportions are those of an annotated face: its box reaches from the brows or the hairline to the chin, ear to ear.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
Color = tuple[int, int, int]

SHIFT = 3
"""Binary digits behind the point in OpenCV's coordinates."""

MASKS: tuple[Color, ...] = ((150, 190, 215), (235, 235, 235), (25, 25, 28))
LENSES: tuple[Color, ...] = ((15, 15, 18), (40, 25, 20), (30, 30, 60))
HELMETS: tuple[Color, ...] = ((30, 30, 32), (200, 40, 35), (235, 235, 230))


def mask(picture: Picture, box: Box, number: int) -> None:
    """Draws a surgical mask over the lower half of the face in `box`, in place; `number` chooses the color."""
    outline = [(0, 0.52), (0.5, 0.45), (1, 0.52), (0.97, 0.75), (0.75, 1), (0.5, 1.05), (0.25, 1), (0.03, 0.75)]
    _fill(picture, box, outline, MASKS[number % 3])


def sunglasses(picture: Picture, box: Box, number: int) -> None:
    """Draws two dark lenses and a bar over the eyes, in place."""
    x1, y1, x2, y2 = box
    width, height, color = x2 - x1, y2 - y1, LENSES[number % 3]
    for across in (0.29, 0.71):
        center = _fixed(x1 + across * width), _fixed(y1 + 0.38 * height)
        axes = _fixed(0.21 * width), _fixed(0.14 * height)
        cv2.ellipse(picture, center, axes, 0, 0, 360, color, cv2.FILLED, cv2.LINE_AA, SHIFT)
    _fill(picture, box, [(-0.02, 0.3), (1.02, 0.3), (1.02, 0.35), (-0.02, 0.35)], color)


def helmet(picture: Picture, box: Box, number: int) -> None:
    """Draws a helmet around the face, in place: what is left of it lies between brows, cheeks and chin."""
    shell = [(-0.18, 0.45), (-0.15, 0.1), (0.05, -0.25), (0.5, -0.35), (0.95, -0.25), (1.15, 0.1), (1.18, 0.45)]
    opening = [
        (1.12, 0.85),
        (0.9, 1.1),
        (0.85, 0.9),
        (0.86, 0.25),
        (0.14, 0.25),
        (0.15, 0.9),
        (0.1, 1.1),
        (-0.12, 0.85),
    ]
    _fill(picture, box, shell + opening, HELMETS[number % 3])


COVERS: dict[str, Callable[[Picture, Box, int], None]] = {"mask": mask, "sunglasses": sunglasses, "helmet": helmet}


def _fill(picture: Picture, box: Box, outline: Sequence[tuple[float, float]], color: Color) -> None:
    x1, y1, x2, y2 = box
    points = [[_fixed(x1 + u * (x2 - x1)), _fixed(y1 + v * (y2 - y1))] for u, v in outline]
    cv2.fillPoly(picture, [np.array(points, np.int32)], color, cv2.LINE_AA, SHIFT)


def _fixed(value: float) -> int:
    return round(value * 2**SHIFT)
