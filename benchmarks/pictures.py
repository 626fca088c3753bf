"""Pictures to measure with, made from free photographs: NASA's portrait of Eileen Collins, and a cup of coffee."""

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data


def street(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB: twelve faces of the sizes that a street has, over texture with sensor noise."""
    random = np.random.default_rng(seed)
    canvas = cv2.resize(data.coffee(), (width, height), interpolation=cv2.INTER_CUBIC)
    face = data.astronaut()[:256, 96:352]
    for _ in range(12):
        side = int(random.integers(48, 260))
        x, y = int(random.integers(0, width - side)), int(random.integers(0, height - side))
        canvas[y : y + side, x : x + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return _noisy(canvas, random)


def photograph(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB: the portrait at many sizes over enlarged photographic texture with sensor noise."""
    random = np.random.default_rng(seed)
    portrait = data.astronaut()
    canvas = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        side = int(random.integers(64, min(width, height) // 4))
        x, y = int(random.integers(0, width - side)), int(random.integers(0, height - side))
        canvas[y : y + side, x : x + side] = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    return _noisy(canvas, random)


def _noisy(canvas: npt.NDArray[np.uint8], random: np.random.Generator) -> npt.NDArray[np.uint8]:
    noise = random.integers(-6, 7, canvas.shape, dtype=np.int16)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8)


def jpeg(pixels: npt.NDArray[np.uint8], quality: int = 90) -> bytes:
    """`pixels` as a baseline 4:2:0 JPEG."""
    done, data_ = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data_.tobytes()
