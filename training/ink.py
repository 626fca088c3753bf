"""Drawing on a small canvas: colors, panels, lines of text, bands. Colors are BGR."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from training.fonts import Mask

Pixels = NDArray[np.uint8]
"""(h, w, 3), BGR."""
Color = tuple[int, int, int]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as shares of the canvas."""
Paint = Callable[[np.random.Generator], Color]


def _between(low: Color, high: Color) -> Paint:
    def pick(rng: np.random.Generator) -> Color:
        blue, green, red = rng.integers(low, np.add(high, 1))
        return int(blue), int(green), int(red)

    return pick


def _gray(low: int, high: int) -> Paint:
    def pick(rng: np.random.Generator) -> Color:
        value = int(rng.integers(low, high))
        return value, value, value

    return pick


white, black, gray = _gray(205, 256), _gray(0, 46), _gray(150, 200)
yellow = _between((0, 165, 225), (70, 215, 255))
blue = _between((110, 30, 0), (200, 80, 40))
red = _between((20, 20, 150), (50, 50, 210))
green = _between((40, 90, 10), (80, 140, 60))
orange = _between((20, 90, 200), (60, 150, 240))


def any_color(rng: np.random.Generator) -> Color:
    """Any hue, saturation and value."""
    return hsv(int(rng.integers(180)), int(rng.integers(256)), int(rng.integers(256)))


def hsv(hue: int, saturation: int, value: int) -> Color:
    """Hue in 0..179, the others in 0..255."""
    b, g, r = cv2.cvtColor(np.array([[[hue, saturation, value]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return int(b), int(g), int(r)


def panel(aspect: float, color: Color, height: int) -> Pixels:
    canvas = np.empty((height, max(8, int(height * aspect)), 3), np.uint8)
    canvas[:] = color
    return canvas


def fill(canvas: Pixels, box: Box, color: Color) -> None:
    height, width = canvas.shape[:2]
    canvas[int(box[1] * height) : int(box[3] * height), int(box[0] * width) : int(box[2] * width)] = color


def shade(canvas: Pixels, color: Color, *, down: bool) -> None:
    """Blends towards `color`, downwards or to the right."""
    height, width = canvas.shape[:2]
    steps = np.linspace(0, 1, height if down else width, dtype=np.float32)
    share = steps[:, None, None] if down else steps[None, :, None]
    canvas[:] = (canvas * (1 - share) + np.array(color, np.float32) * share).astype(np.uint8)


def write(
    canvas: Pixels, mask: Mask, box: Box, color: Color, rng: np.random.Generator, *, stretch: tuple[float, float]
) -> None:
    """Puts a line of text in the middle of `box`, as high as the box, its width scaled by a random `stretch`."""
    height, width = canvas.shape[:2]
    room, h = (box[2] - box[0]) * width, (box[3] - box[1]) * height
    w = mask.shape[1] * h / mask.shape[0] * rng.uniform(*stretch)
    if w > room:
        h, w = h * min(1.0, room * 1.6 / w), room
    w, h = max(2, min(int(w), width)), max(2, min(int(h), height))
    ink = np.asarray(cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA), np.float32)[..., None] / 255
    x = int(np.clip((box[0] + box[2]) / 2 * width - w / 2, 0, width - w))
    y = int(np.clip((box[1] + box[3]) / 2 * height - h / 2, 0, height - h))
    under = canvas[y : y + h, x : x + w].astype(np.float32)
    canvas[y : y + h, x : x + w] = (under * (1 - ink) + np.array(color, np.float32) * ink).astype(np.uint8)
