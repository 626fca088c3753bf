"""Outlines of what a perspective view found, in the pixels of the picture that shows the sphere.

Each pixel is looked up in the frame of the view that found the object: near a pole, across the seam or over the edge of
a cube an ellipse has the shape that it has in the world. A pixel that the outline touches at all belongs to its core.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from service.imaging.curved import bounds
from service.imaging.detections import Float32
from service.imaging.outlines import (
    EDGE_FEATHER,
    ELLIPSE_FEATHER,
    MAX_EDGE_FEATHER,
    MIN_FEATHER,
    Box,
    Outline,
    UnionOutline,
    Window,
    eased,
)
from service.imaging.sphere import NEAREST, Float64, Sphere, Surface, axes
from service.policy import Shape


@dataclass(frozen=True, slots=True)
class CurvedOutline:
    """The ellipse in, or all of, the curved box `curved` (longitude, latitude, u1, v1, u2, v2) on `surface`.

    `bounds` and `outer` are boxes in the surface's pixels; see `outlines.Outline`.
    """

    surface: Surface
    curved: tuple[float, float, float, float, float, float]
    shape: Shape
    bounds: Box
    outer: Window

    def alpha(self, window: Window) -> Float32:
        """Share of the obscured picture in each pixel of `window`: (h, w) float32, exactly 1 in the core."""
        longitude, latitude, u1, v1, u2, v2 = self.curved
        frame = axes(np.array(longitude), np.array(latitude)).astype(np.float32)
        right, down, forward = np.tensordot(frame, self.surface.rays(window), axes=1)
        ahead = forward > NEAREST
        np.copyto(forward, 1, where=~ahead)
        across = np.abs(right / forward - np.float32((u1 + u2) / 2))
        below = np.abs(down / forward - np.float32((v1 + v2) / 2))
        pixel = pixel_size(self.curved, self.surface)
        a, b = (u2 - u1) / 2 + pixel, (v2 - v1) / 2 + pixel
        if self.shape is Shape.ELLIPSE:
            reach = 1 + max(ELLIPSE_FEATHER, MIN_FEATHER * pixel / min(a, b))
            distance = np.hypot(across / np.float32(a), below / np.float32(b))
            # A hair wider than the ellipse, so that rounding takes no pixel from the core.
            alpha = eased((np.float32(reach) - distance) * np.float32(1.0001 / (reach - 1)))
        else:
            fade = np.float32(feather(self.curved, pixel))
            alpha = eased(1 - np.maximum(across - np.float32(a), 0) / fade)
            alpha *= eased(1 - np.maximum(below - np.float32(b), 0) / fade)
        alpha[~ahead] = 0
        return alpha

    def shifted(self, by: float) -> "CurvedOutline":
        """The same outline where the surface is seen a whole turn, `by` pixels, further."""
        (x1, y1, x2, y2), (left, top, right, bottom) = self.bounds, self.outer
        moved = math.floor(left + by), top, math.ceil(right + by), bottom
        return replace(self, bounds=(x1 + by, y1, x2 + by, y2), outer=moved)


def on_panorama(curved: Float64, shape: Shape, sphere: Sphere) -> CurvedOutline:
    """The outline of the curved box (6,), grown already, in a panorama. An ellipse fills the box."""
    outer = bounds(widened(curved, shape, sphere)[None], sphere)[0]
    core = bounds(curved[None], sphere)[0]
    # Both begin where the outer one does.
    core[[0, 2]] += np.round((outer[0] - core[0]) / sphere.full_width) * sphere.full_width
    x1, y1, x2, y2 = outer.tolist()
    window = math.floor(x1) - 1, math.floor(y1) - 1, math.ceil(x2) + 1, math.ceil(y2) + 1
    values = tuple(curved.tolist())
    return CurvedOutline(sphere, values, shape, tuple(core.tolist()), window)


def widened(curved: Float64, shape: Shape, surface: Surface) -> Float64:
    """`curved` (6,) with its feather and the pixels that its edge touches."""
    pixel = pixel_size(tuple(curved.tolist()), surface)
    half = (curved[4:] - curved[2:4]) / 2 + pixel
    if shape is Shape.ELLIPSE:
        half = half * (1 + max(ELLIPSE_FEATHER, MIN_FEATHER * pixel / half.min()))
    else:
        half = half + feather(tuple(curved.tolist()), pixel)
    middle = (curved[2:4] + curved[4:]) / 2
    wide = curved.copy()
    wide[2:4], wide[4:] = middle - half, middle + half
    return wide


def pixel_size(curved: tuple[float, ...], surface: Surface) -> float:
    """Half the diagonal of a pixel in units of the frame, at most, anywhere in the box."""
    _, _, u1, v1, u2, v2 = curved
    farthest = max(u1 * u1, u2 * u2) + max(v1 * v1, v2 * v2)
    return surface.half_pixel * (1 + farthest)


def feather(curved: tuple[float, ...], pixel: float) -> float:
    """Width of the feather beside straight edges, in units of the frame; see `outlines`."""
    _, _, u1, v1, u2, v2 = curved
    relative = EDGE_FEATHER * min(u2 - u1, v2 - v1)
    return min(max(MIN_FEATHER * pixel, relative), MAX_EDGE_FEATHER * pixel)


def placed(outline: Outline, sphere: Sphere) -> list[Outline]:
    """`outline` at each place where a panorama shows it: on both sides of the seam, if it crosses that."""
    left, _, right, _ = outline.outer
    if right - left < sphere.full_width:
        return _shown(outline, sphere) or [outline]
    if isinstance(outline, CurvedOutline):
        return [_all_around(outline, sphere)]
    if isinstance(outline, UnionOutline):
        return [UnionOutline(tuple(each for part in outline.parts for each in placed(part, sphere)))]
    return [UnionOutline(tuple(_shown(outline, sphere)))]


def _shown(outline: Outline, sphere: Sphere) -> list[Outline]:
    left, _, right, _ = outline.outer
    turn = sphere.full_width
    seen = [by for by in (0.0, -turn, turn) if left + by < sphere.width and right + by > 0]
    return [outline.shifted(by) if by else outline for by in seen]


def _all_around(outline: CurvedOutline, sphere: Sphere) -> CurvedOutline:
    """`outline`, which reaches around the sphere, with bounds as wide as the panorama."""
    (_, y1, _, y2), (_, top, _, bottom) = outline.bounds, outline.outer
    return replace(outline, bounds=(0.0, y1, float(sphere.width), y2), outer=(0, top, sphere.width, bottom))
