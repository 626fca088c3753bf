"""Square crops of photographs: where they look, how they are scaled and turned, and what a camera adds."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.ink import Pixels
from training.photographs import Boxes, Labels
from training.rendering import smear

PADDING = (114, 114, 114)
HEIGHTS = (5.5, 130.0)
"""Pixels: plates come out this high; lower ones more often."""


@dataclass(frozen=True)
class Crop:
    """`pixels` (side, side, 3) BGR; boxes in its pixels, not clipped to it."""

    pixels: Pixels
    plates: Boxes
    unclear: Boxes


def cut(picture: Pixels, labels: Labels, around: Boxes | None, side: int, rng: np.random.Generator) -> Crop:
    """A crop of `side` pixels: with one of `around` somewhere in it, or anywhere if there are none."""
    height, width = picture.shape[:2]
    if around is not None and len(around):
        x1, y1, x2, y2 = around[rng.integers(len(around))]
        w, h = max(1.0, float(x2 - x1)), max(1.0, float(y2 - y1))
        wanted = HEIGHTS[0] * (HEIGHTS[1] / HEIGHTS[0]) ** (rng.random() ** 1.25)
        scale = max(0.12, min(wanted / h, 1.8, 0.87 * side / w, 0.47 * side / h))
        across, down = scale * np.exp(rng.normal(0, 0.06, 2))
        at = rng.uniform(0.05, 0.95, 2) * side
        if rng.random() < 0.78:  # else it may be cut by the border
            half = np.array([w * across, h * down]) / 2 + 2
            at = np.where(2 * half < side, np.clip(at, half, np.maximum(half, side - half)), side / 2)
        center = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    else:
        across = down = float(np.exp(rng.uniform(np.log(0.3), np.log(1.4))))
        center, at = rng.random(2) * [width, height], np.array([side / 2, side / 2])
    kind = rng.random()
    turn = np.deg2rad(rng.normal(0, 4) if kind < 0.25 else rng.uniform(-35, 35) if kind < 0.35 else 0.0)
    mirror = -1 if rng.random() < 0.4 else 1
    matrix = np.array([[np.cos(turn) * mirror, -np.sin(turn)], [np.sin(turn) * mirror, np.cos(turn)]]) * [across, down]
    shift = at - matrix @ center
    if rng.random() < 0.9:
        shift = _inside(matrix, shift, width, height, side)
    pixels = _warp(picture, np.c_[matrix, shift], min(across, down), side)
    whole = np.c_[matrix, shift]
    return Crop(pixels, _moved(labels.plates, whole), _moved(labels.unclear, whole))


def _inside(
    matrix: NDArray[np.float64], shift: NDArray[np.float64], width: int, height: int, side: int
) -> NDArray[np.float64]:
    """`shift` changed so that the crop leaves the picture only where the picture is too small."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ matrix.T + shift
    low, high = corners.min(0), corners.max(0)
    inward = np.maximum(0, side - high) - np.maximum(0, low)
    return np.asarray(shift + np.where(high - low >= side, inward, 0))


def _warp(picture: Pixels, matrix: NDArray[np.float64], scale: float, side: int) -> Pixels:
    """The picture under `matrix`; reduced by areas first where warping alone would alias."""
    factor = 1.0 if scale >= 0.5 else 0.5 if scale > 0.25 else 0.25
    if factor < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.c_[matrix[:, :2] / factor, matrix[:, 2]]
    warped = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=PADDING)
    return np.asarray(warped, np.uint8)


def _moved(boxes: Boxes, matrix: NDArray[np.float64]) -> Boxes:
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)


def erase(pixels: Pixels, box: Boxes, rng: np.random.Generator) -> None:
    """Fills `box` (4,) from above and below it, in place: a vehicle without a plate."""
    side_y, side_x = pixels.shape[:2]
    w, h = box[2] - box[0], box[3] - box[1]
    x1, y1 = int(max(0, box[0] - 0.06 * w - 1)), int(max(1, box[1] - 0.06 * h - 1))
    x2, y2 = int(min(side_x, box[2] + 0.06 * w + 2)), int(min(side_y - 1, box[3] + 0.06 * h + 2))
    if x2 - x1 < 2 or y2 - y1 < 2:
        return
    rows = max(1, int((y2 - y1) * 0.12))
    above = pixels[max(0, y1 - rows) : y1, x1:x2].astype(np.float32).mean(0)
    below = pixels[y2 : y2 + rows, x1:x2].astype(np.float32).mean(0)
    share = np.linspace(0, 1, y2 - y1, dtype=np.float32)[:, None, None]
    if rng.random() < 0.5:
        share = np.full_like(share, rng.integers(2))
    filled = above * (1 - share) + below * share + rng.normal(0, 3, (y2 - y1, x2 - x1, 3))
    pixels[y1:y2, x1:x2] = np.clip(filled, 0, 255)


def photograph(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """`pixels` as another camera would have taken them: exposure, night, color cast, blur, noise, JPEG."""
    levels = np.arange(256) / 255.0
    if rng.random() < 0.5:
        levels = np.clip(levels * rng.uniform(0.55, 1.4) + rng.uniform(-30, 30) / 255, 0, 1)
    kind = rng.random()
    if kind < 0.13:
        levels = levels ** rng.uniform(1.2, 2.4) * rng.uniform(0.6, 1.0)
    elif kind < 0.26:
        levels = levels ** rng.uniform(0.5, 0.8)
    table = np.round(levels * 255).astype(np.uint8)
    image = table[pixels]
    if rng.random() < 0.3:
        image = np.clip(image * rng.uniform(0.75, 1.25, 3).astype(np.float32), 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)
    elif rng.random() < 0.25:
        hue = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
        hue[..., 0] = (hue[..., 0] + rng.integers(-8, 9)) % 180
        hue[..., 1] = np.clip(hue[..., 1] * rng.uniform(0.4, 1.6), 0, 255)
        image = np.asarray(cv2.cvtColor(hue.astype(np.uint8), cv2.COLOR_HSV2BGR), np.uint8)
    if rng.random() < 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (3, 3), rng.uniform(0.4, 1.2)), np.uint8)
    if rng.random() < 0.06:
        image = smear(image.astype(np.float32), int(rng.choice([3, 5, 7])), rng).astype(np.uint8)
    if rng.random() < 0.25:
        image = np.clip(image + rng.normal(0, rng.uniform(2, 14), image.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(22, 93))])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image
