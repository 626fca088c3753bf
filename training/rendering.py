"""A flat plate or sign put into a photograph: light and dirt, perspective, tone of the surroundings, blur, noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.ink import Pixels

Quad = NDArray[np.float32]
"""(4, 2): x, y of the corners, clockwise from the top left, in pixels."""
Corners = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""

SQUARE = 2.0
"""Aspect below which a plate is mostly a motorcycle's, on whose fenders they hang at any angle."""


def soil(texture: Pixels, rng: np.random.Generator) -> Pixels:
    """Uneven light, dirt, a shadow's edge, a reflection or faded paint, each now and then."""
    height, width = texture.shape[:2]
    lit = texture.astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if rng.random() < 0.5:
        light = rng.uniform(0.55, 1.15, (int(rng.integers(2, 4)), int(rng.integers(2, 6)))).astype(np.float32)
        lit *= cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    if rng.random() < 0.3:
        spots = rng.random((rng.integers(4, 12), rng.integers(8, 30)), dtype=np.float32)
        spread = np.asarray(cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
        cover = np.clip((spread - 0.5) * rng.uniform(0.5, 2.2), 0, rng.uniform(0.3, 0.9))[..., None]
        lit = lit * (1 - cover) + np.array([60, 80, 100], np.float32) * rng.uniform(0.4, 1.3) * cover
    if rng.random() < 0.22:
        angle = rng.uniform(0, 2 * np.pi)
        from_x, from_y = x - width * rng.uniform(0.2, 0.8), y - height * rng.uniform(0.2, 0.8)
        side = from_x * np.cos(angle) + from_y * np.sin(angle)
        lit *= np.where(side > 0, 1, rng.uniform(0.3, 0.7)).astype(np.float32)[..., None]
    if rng.random() < 0.12:
        away = ((x - width * rng.random()) / 2) ** 2 + (y - height * rng.random()) ** 2
        lit += (rng.uniform(80, 255) * np.exp(-away / (2 * (height * rng.uniform(0.2, 1.2)) ** 2)))[..., None]
    if rng.random() < 0.12:
        mean = lit.mean((0, 1))
        lit = mean + (lit - mean) * rng.uniform(0.25, 0.6)
    return np.clip(lit, 0, 255).astype(np.uint8)


def seen_from(x: float, y: float, height: float, aspect: float, rng: np.random.Generator) -> Quad:
    """The corners of a rectangle around (x, y), turned in space as plates are; one in four is seen from the side."""
    width = height * aspect
    yaw = rng.uniform(-1, 1) * rng.choice([0.3, 0.8, 1.2], p=[0.4, 0.36, 0.24])
    pitch = rng.uniform(-0.45, 0.45)
    askew, most = (0.5, 45) if aspect < SQUARE else (0.15, 30)
    roll = np.deg2rad(rng.uniform(-most, most) if rng.random() < askew else rng.normal(0, 5))
    flat = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * [width / 2, height / 2, 0]
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turned = flat @ (about_x @ about_y).T
    distance = width * rng.uniform(2.5, 8)
    corners = turned[:, :2] * (distance / (distance + turned[:, 2:]))
    corners = corners @ np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    if rng.random() < 0.4:
        corners[:, 1] += corners[:, 0] * rng.uniform(-0.18, 0.18)
    return np.asarray(np.add(corners, [x, y]), np.float32)


def smear(pixels: NDArray[np.float32], length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Motion blur of `length` (odd) pixels, mostly level."""
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi) if rng.random() < 0.4 else 0.0
    middle = (length - 1) / 2
    for step in np.linspace(-middle, middle, 2 * length):
        kernel[round(middle + step * np.sin(angle)), round(middle + step * np.cos(angle))] = 1
    blurred = cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def paste(picture: Pixels, texture: Pixels, quad: Quad, rng: np.random.Generator) -> Corners | None:
    """Renders `texture` into `picture` (in place) at `quad`; its unclipped box, or None where nothing would be seen."""
    height, width = picture.shape[:2]
    (x1, y1), (x2, y2) = quad.min(0), quad.max(0)
    left, top = int(max(0, np.floor(x1) - 3)), int(max(0, np.floor(y1) - 3))
    right, bottom = int(min(width, np.ceil(x2) + 3)), int(min(height, np.ceil(y2) + 3))
    if right - left < 4 or bottom - top < 4:
        return None
    seen_width = (np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[3])) / 2
    seen_height = float((np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2)
    flat = soil(texture, rng)
    w = max(3, min(flat.shape[1], int(seen_width * 1.15) + 1))
    h = max(3, min(flat.shape[0], int(seen_height * 1.15) + 1))
    # First to about its size in the picture by areas: warping alone would alias.
    flat = np.asarray(cv2.resize(flat, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    corners = np.asarray(quad - np.array([left, top]), np.float32)
    view = cv2.getPerspectiveTransform(rectangle(w, h) - np.float32(0.5), corners)
    size = (right - left, bottom - top)
    over = cv2.warpPerspective(flat, view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shape = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(shape, np.round(corners * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    under = picture[top:bottom, left:right].astype(np.float32)
    front = _matched(np.asarray(over, np.float32), under, rng)
    share = np.asarray(shape / np.float32(255), np.float32)
    blur = rng.uniform(0, 0.7) + (rng.uniform(0, 0.05) * seen_height if rng.random() < 0.3 else 0)
    if blur > 0.25:
        front = np.asarray(cv2.GaussianBlur(front, (0, 0), blur), np.float32)
        share = np.asarray(cv2.GaussianBlur(share, (0, 0), blur), np.float32)
    if rng.random() < 0.1 and seen_height > 8:
        length = int(rng.uniform(2, 0.25 * seen_height + 3)) | 1
        front, share = smear(front, length, rng), smear(share, length, rng)
    if rng.random() < 0.3:
        front = front + rng.normal(0, rng.uniform(1, 10), front.shape).astype(np.float32)
    part = share[..., None]
    picture[top:bottom, left:right] = np.clip(under * (1 - part) + front * part, 0, 255).astype(np.uint8)
    if rng.random() < 0.07:
        _bar(picture, (float(x1), float(y1), float(x2), float(y2)), seen_height, under, rng)
    return float(x1), float(y1), float(x2), float(y2)


def rectangle(width: float, height: float) -> Quad:
    """A flat texture's corners."""
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


def _matched(over: NDArray[np.float32], under: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness and tint like what lies around, contrast sometimes lost in haze."""
    mean = under.mean((0, 1))
    gain = np.clip((mean.mean() * rng.uniform(0.5, 1.2) + rng.uniform(10, 130)) / 190, 0.12, 1.2)
    tint = ((mean + 60) / (mean.mean() + 60)) ** rng.uniform(0, 1)
    toned = over * (gain * tint).astype(np.float32)
    if rng.random() < 0.4:
        haze = rng.uniform(0, 40)
        toned = haze + toned * (1 - haze / 255)
    return np.asarray(toned, np.float32)


def _bar(picture: Pixels, box: Corners, height: float, under: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Something narrow in front of it: a tow bar, a cable, a branch."""
    color = [int(each) for each in under.mean((0, 1)) * rng.uniform(0.3, 1.3)]
    x = rng.uniform(box[0], box[2])
    below = x + rng.uniform(-0.3, 0.3) * height
    thickness = max(1, int(height * rng.uniform(0.06, 0.35)))
    cv2.line(picture, (int(x), int(box[1] - 5)), (int(below), int(box[3] + 5)), color, thickness)
