"""The sphere that an equirectangular picture shows: pixels, directions and the planes that touch it.

Longitude λ grows to the right and is 0 in the middle of a full panorama; latitude φ is π/2 at its top. A direction is a
unit vector (right, up, forward) with forward at λ = φ = 0. A frame is the plane that touches the sphere where one looks
at (λ, φ), in its own coordinates u to the right and v down (gnomonic projection, Snyder 1987, Map Projections, §22): a
straight line in the world is straight there, and near its middle nothing is stretched.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Window = tuple[int, int, int, int]

SEAM_TOLERANCE = 0.75
"""Pixels that may be missing from a full turn for the left and right edges to be neighbors all the same."""

NEAREST = 0.05
"""Least forward part of a direction that has a place in a frame: farther out its coordinates grow without bound."""


class Surface(Protocol):
    """A picture of some part of the sphere."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def half_pixel(self) -> float:
        """Radians from the middle of a pixel to its corner, at most."""

    def rays(self, window: Window) -> Float32:
        """The directions of the middles of the pixels of `window`: (3, h, w)."""


@dataclass(frozen=True, slots=True)
class Sphere:
    """Where an equirectangular picture of `width` × `height` upright pixels lies on the sphere.

    `full_width` pixels make a whole turn, `full_height` reach from pole to pole; the picture begins `left` and `top`
    pixels into that.
    """

    width: int
    height: int
    full_width: float
    full_height: float
    left: float = 0.0
    top: float = 0.0

    @classmethod
    def whole(cls, width: int, height: int) -> "Sphere":
        """The sphere of a picture that shows all of it."""
        return cls(width, height, float(width), float(height))

    @property
    def resolution(self) -> float:
        """Pixels per radian up and down, and to the sides at the horizon."""
        return self.full_height / math.pi

    @property
    def wraps(self) -> bool:
        """Whether the left and right edges are neighbors."""
        return self.width >= self.full_width - SEAM_TOLERANCE

    @property
    def half_pixel(self) -> float:
        return math.hypot(math.pi / self.full_width, math.pi / 2 / self.full_height)

    def latitude(self, y: float) -> float:
        return math.pi / 2 - (y + self.top) / self.full_height * math.pi

    def row(self, latitude: float) -> float:
        """The inverse of `latitude`."""
        return (math.pi / 2 - latitude) / math.pi * self.full_height - self.top

    def rays(self, window: Window) -> Float32:
        x1, y1, x2, y2 = window
        longitude = (np.arange(x1, x2) + 0.5 + self.left) * (2 * math.pi / self.full_width) - math.pi
        latitude = math.pi / 2 - (np.arange(y1, y2) + 0.5 + self.top) * (math.pi / self.full_height)
        rays = np.empty((3, y2 - y1, x2 - x1), np.float32)
        level = np.cos(latitude)
        np.multiply.outer(level, np.sin(longitude), out=rays[0], casting="same_kind")
        rays[1] = np.sin(latitude)[:, None]
        np.multiply.outer(level, np.cos(longitude), out=rays[2], casting="same_kind")
        return rays

    def directions(self, points: Float64) -> Float64:
        """`points` (…, 2) x, y in pixels as directions (…, 3)."""
        longitude = (points[..., 0] + self.left) * (2 * math.pi / self.full_width) - math.pi
        latitude = math.pi / 2 - (points[..., 1] + self.top) * (math.pi / self.full_height)
        return towards(longitude, latitude)

    def pixels(self, directions: Float64) -> Float64:
        """`directions` (…, 3), of any length, as x, y in pixels (…, 2); x lies in the one turn that begins at -left."""
        right, up, forward = np.moveaxis(directions, -1, 0)
        x = (np.arctan2(right, forward) + math.pi) / (2 * math.pi) * self.full_width - self.left
        y = (math.pi / 2 - np.arctan2(up, np.hypot(right, forward))) / math.pi * self.full_height - self.top
        return np.stack([x, y], axis=-1)


def towards(longitude: Float64, latitude: Float64) -> Float64:
    """The directions (…, 3) of places on the sphere, radians."""
    level = np.cos(latitude)
    return np.stack([level * np.sin(longitude), np.sin(latitude), level * np.cos(longitude)], axis=-1)


def axes(longitude: Float64, latitude: Float64) -> Float64:
    """The frames that look at (`longitude`, `latitude`), arrays of shape (…): (…, 3, 3), rows right, down, forward."""
    sin_l, cos_l, sin_p, cos_p = np.sin(longitude), np.cos(longitude), np.sin(latitude), np.cos(latitude)
    none = np.zeros_like(sin_l)
    right = np.stack([cos_l, none, -sin_l], axis=-1)
    down = np.stack([sin_p * sin_l, -cos_p, sin_p * cos_l], axis=-1)
    forward = np.stack([cos_p * sin_l, sin_p, cos_p * cos_l], axis=-1)
    return np.stack([right, down, forward], axis=-2)


def into_frame(directions: Float64, frame: Float64) -> Float64:
    """u, v (…, 2) of `directions` (…, 3) in `frame` (3, 3); NaN for those that lie beside or behind it."""
    seen = directions @ frame.T
    forward = np.where(seen[..., 2] > NEAREST, seen[..., 2], np.nan)
    return np.asarray(seen[..., :2] / forward[..., None])


def out_of_frame(uv: Float64, frame: Float64) -> Float64:
    """The directions (…, 3), not of unit length, of `uv` (…, 2) in `frame` (…, 3, 3)."""
    return np.asarray(uv[..., :1] * frame[..., 0, :] + uv[..., 1:] * frame[..., 1, :] + frame[..., 2, :])
