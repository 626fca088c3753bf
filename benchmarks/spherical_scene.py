"""Scenes on a sphere: pictures of real objects at known places of a panorama, turned by any angles."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from service.imaging.sphere import Sphere, axes, out_of_frame

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

FADE = 0.08
"""Share of a pasted picture's side over which it fades into the background."""

GRID = 24
"""Points per side of an object's box at which it is asked whether they are hidden."""


@dataclass(frozen=True)
class Thing:
    """A picture around an object: `pixels` (h, w, 3) RGB, the object's `box` in it, its class."""

    pixels: Picture
    box: tuple[float, float, float, float]
    name: str


@dataclass(frozen=True)
class Placed:
    """A thing whose box is `height` radians high, in the middle of the frame that looks at a place."""

    thing: Thing
    longitude: float
    latitude: float
    height: float

    @property
    def scale(self) -> float:
        """Of a frame's units in a pixel of the thing."""
        return 2 * math.tan(self.height / 2) / (self.thing.box[3] - self.thing.box[1])

    @property
    def frame(self) -> Floats:
        return axes(np.array(self.longitude), np.array(self.latitude))

    def points(self) -> Floats:
        """Directions (n, 3) all over the object's box."""
        x1, y1, x2, y2 = self.thing.box
        u, v = np.meshgrid(np.linspace(-0.5, 0.5, GRID) * (x2 - x1), np.linspace(-0.5, 0.5, GRID) * (y2 - y1))
        return out_of_frame(np.stack([u, v], axis=-1).reshape(-1, 2) * self.scale, self.frame)


def ground(width: int) -> Picture:
    """A panorama (width / 2, width, 3) of a photograph without people, and plain toward the poles."""
    texture = cv2.resize(data.coffee(), (width // 2, width // 2), interpolation=cv2.INTER_CUBIC)
    panorama = np.hstack([texture, texture[:, ::-1]])
    latitude = np.linspace(math.pi / 2, -math.pi / 2, width // 2)
    weight = np.clip(1.6 * np.cos(latitude) - 0.3, 0, 1)[:, None, None]
    return np.asarray(np.rint(panorama * weight + (1 - weight) * np.array([150, 140, 130])), np.uint8)


def portrait() -> Thing:
    """NASA's portrait of Eileen Collins."""
    return Thing(np.ascontiguousarray(data.astronaut()[:256, 80:368]), (96.0, 60.0, 172.0, 165.0), "face")


def plate(text: str, seed: int = 0) -> Thing:
    """A generated license plate on the plain back of a car."""
    random = np.random.default_rng(seed)
    pixels = np.full((300, 480, 3), random.integers(40, 110, 3), np.uint8)
    cv2.rectangle(pixels, (60, 30), (420, 120), (25, 28, 32), -1)
    cv2.rectangle(pixels, (110, 170), (370, 226), (245, 245, 240), -1)
    cv2.rectangle(pixels, (110, 170), (370, 226), (20, 20, 20), 2)
    cv2.rectangle(pixels, (111, 171), (133, 225), (20, 60, 170), -1)
    cv2.putText(pixels, text, (142, 213), cv2.FONT_HERSHEY_DUPLEX, 1.25, (15, 15, 15), 3, cv2.LINE_AA)
    for x in (10, 430):
        cv2.rectangle(pixels, (x, 150), (x + 40, 210), (170, 20, 20), -1)
    return Thing(cv2.GaussianBlur(pixels, (0, 0), 0.8), (110.0, 170.0, 370.0, 226.0), "plate")


def compose(panorama: Picture, placed: list[Placed]) -> Picture:
    """`panorama` with everything of `placed` drawn over it, as a camera in its middle would see it."""
    height, width = panorama.shape[:2]
    rays = Sphere.whole(width, height).rays((0, 0, width, height)).astype(np.float32)
    scene = panorama.copy()
    for each in placed:
        draw(scene, rays, each)
    return scene


def draw(scene: Picture, rays: npt.NDArray[np.float32], placed: Placed) -> None:
    """Pastes one thing into `scene`, whose pixels lie at `rays` (3, h, w)."""
    pixels, (x1, y1, x2, y2) = placed.thing.pixels, placed.thing.box
    high, wide = pixels.shape[:2]
    right, down, forward = np.tensordot(placed.frame.astype(np.float32), rays, axes=1)
    radius = placed.scale * math.hypot(high, wide)
    rows, columns = np.nonzero(forward > math.cos(math.atan(radius)))
    ahead = forward[rows, columns]
    x = right[rows, columns] / ahead / placed.scale + (x1 + x2) / 2
    y = down[rows, columns] / ahead / placed.scale + (y1 + y2) / 2
    inside = np.minimum.reduce([x / wide, 1 - x / wide, y / high, 1 - y / high]).astype(np.float32)
    level = max(0.0, math.log2(1 / (placed.scale * scene.shape[0] / math.pi)))
    small = cv2.GaussianBlur(pixels, (0, 0), 0.4 * 2**level) if level > 0.5 else pixels
    at = [(v - 0.5).astype(np.float32)[:, None] for v in (x, y)]
    shown = _sampled(small, at[0], at[1])
    weight = np.clip(inside / FADE, 0, 1)[:, None]
    scene[rows, columns] = np.rint(scene[rows, columns] * (1 - weight) + shown * weight).astype(np.uint8)


def _sampled(pixels: Picture, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> Picture:
    """`pixels` at `x`, `y` (n, 1): (n, 3)."""
    parts = []
    for begin in range(0, len(x), 30_000):  # OpenCV's maps have at most 32767 rows
        part = np.s_[begin : begin + 30_000]
        parts.append(cv2.remap(pixels, x[part], y[part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0])
    return np.concatenate(parts) if parts else np.zeros((0, 3), np.uint8)


def turn(yaw: float, pitch: float) -> Floats:
    """The rotation (3, 3) of directions by `yaw` to the right, then by `pitch` upward, radians."""
    sin_y, cos_y, sin_p, cos_p = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
    about_up = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    about_right = np.array([[1, 0, 0], [0, cos_p, sin_p], [0, -sin_p, cos_p]])
    return np.asarray(about_right @ about_up)


def turned(scene: Picture, rotation: Floats, width: int) -> Picture:
    """`scene`, a panorama, as it looks turned by `rotation`: (width / 2, width, 3)."""
    height = width // 2
    source = Sphere.whole(scene.shape[1], scene.shape[0])
    shown = np.empty((height, width, 3), np.uint8)
    padded = np.ascontiguousarray(np.hstack([scene[:, -2:], scene, scene[:, :2]]))
    band = 256
    for top in range(0, height, band):
        bottom = min(top + band, height)
        rays = Sphere.whole(width, height).rays((0, top, width, bottom)).astype(np.float64)
        points = source.pixels(np.moveaxis(np.tensordot(rotation.T, rays, axes=1), 0, -1)) - 0.5
        maps = [points[..., 0].astype(np.float32) + 2, points[..., 1].astype(np.float32)]
        shown[top:bottom] = cv2.remap(padded, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return shown


def hidden_share(coverage: npt.NDArray[np.bool_], placed: Placed, rotation: Floats) -> float:
    """Share of the object that `coverage` (height, width), of a panorama turned by `rotation`, hides."""
    height, width = coverage.shape
    points = np.floor(Sphere.whole(width, height).pixels(placed.points() @ rotation.T)).astype(int)
    return float(coverage[np.clip(points[:, 1], 0, height - 1), points[:, 0] % width].mean())


def roll(placed: Placed, rotation: Floats) -> float:
    """By how many radians the object stands off upright in the turned panorama, 0 to π."""
    up, middle = -placed.frame[1] @ rotation.T, placed.frame[2] @ rotation.T
    longitude, latitude = math.atan2(middle[0], middle[2]), math.asin(float(np.clip(middle[1], -1, 1)))
    local = axes(np.array(longitude), np.array(latitude))
    return float(abs(math.atan2(float(up @ local[0]), -float(up @ local[1]))))
