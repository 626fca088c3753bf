"""Six square pictures of one sphere: the faces of a cube around the camera.

`front` looks to longitude 0, `right` to 90°, `back` to 180°, `left` to -90°, all upright. `up` looks straight up, its
lower edge at the upper edge of `front`; `down` straight down, its upper edge at the lower edge of `front`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from service.imaging.color import to_rgb8
from service.imaging.curved import edges, flat_as_curved
from service.imaging.detections import Detections, Float32
from service.imaging.masking import Mask, Region, build_mask, named_region
from service.imaging.outlines import Outline, UnionOutline, Window
from service.imaging.raster import ColorModel, Raster, UInt8Image
from service.imaging.sphere import Float64, Sphere, axes, into_frame, out_of_frame
from service.imaging.sphere_outlines import CurvedOutline, widened
from service.policy import Policy, Shape

LOOKING: dict[str, tuple[float, float]] = {
    "front": (0.0, 0.0),
    "right": (math.pi / 2, 0.0),
    "back": (math.pi, 0.0),
    "left": (-math.pi / 2, 0.0),
    "up": (0.0, math.pi / 2),
    "down": (0.0, -math.pi / 2),
}
"""Longitude and latitude that each face looks at."""

FACES = tuple(LOOKING)
BAND = 128
"""Rows of the panorama that are made at a time."""
EDGE_POINTS = 256
DILATED = 1.1
"""Half sides of a face up to which points beside it are looked at for where an outline enters it."""


@dataclass(frozen=True, slots=True)
class CubeFace:
    """The face `name` of a cube whose sides are `side` pixels; a `sphere.Surface`."""

    name: str
    side: int

    @property
    def width(self) -> int:
        return self.side

    @property
    def height(self) -> int:
        return self.side

    @property
    def half_pixel(self) -> float:
        return math.sqrt(2) / self.side

    @property
    def frame(self) -> Float64:
        longitude, latitude = LOOKING[self.name]
        return axes(np.array(longitude), np.array(latitude))

    def rays(self, window: Window) -> Float32:
        x1, y1, x2, y2 = window
        u = (np.arange(x1, x2) + 0.5) * (2 / self.side) - 1
        v = ((np.arange(y1, y2) + 0.5) * (2 / self.side) - 1)[:, None]
        right, down, forward = self.frame
        rays: Float32 = np.stack([u * r + v * d + f for r, d, f in zip(right, down, forward, strict=True)]).astype(
            np.float32
        )
        return rays


def panorama(faces: Mapping[str, Raster]) -> Raster:
    """The sphere that six square `faces` of one size show, as an equirectangular picture of four by two sides, RGB.

    It is a little finer than the middle of a face, so that nothing gets lost on the way.
    """
    side = faces["front"].width
    whole = Sphere.whole(4 * side, 2 * side)
    pixels = np.empty((2 * side, 4 * side, 3), np.uint8)
    shown: dict[str, UInt8Image] = {
        name: np.ascontiguousarray(to_rgb8(raster.upright, raster.color)) for name, raster in faces.items()
    }
    for top in range(0, 2 * side, BAND):
        bottom = min(top + BAND, 2 * side)
        rays = whole.rays((0, top, 4 * side, bottom))
        band = pixels[top:bottom]
        for name, face in shown.items():
            right, down, forward = np.tensordot(CubeFace(name, side).frame.astype(np.float32), rays, axes=1)
            here = forward >= np.maximum(np.abs(right), np.abs(down)) * np.float32(1 - 1e-5)
            if here.any():
                ahead = np.where(here, forward, 1)
                x, y = ((axis / ahead + 1) * np.float32(side / 2) - np.float32(0.5) for axis in (right, down))
                sampled = cv2.remap(face, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                band[here] = sampled[here]
    return Raster(pixels, ColorModel.RGB, alpha=False)


def face_masks(detections: Detections, policy: Policy, side: int) -> dict[str, Mask]:
    """The mask of each face for what was found in `panorama`: the same objects, as each face sees them."""
    whole = whole_mask(as_curved(detections), policy.model_copy(update={"nadir_mask": 0.0}), side)
    masks = {}
    for name in FACES:
        face = CubeFace(name, side)
        regions = [replace(each, outline=outline) for each in whole.regions if (outline := _on_face(each, face))]
        if policy.nadir_mask > 0 and (nadir := _nadir(policy, face)):
            regions.append(nadir)
        masks[name] = Mask(tuple(dict.fromkeys(regions)), (), side, side)
    return masks


def whole_mask(detections: Detections, policy: Policy, side: int) -> Mask:
    """The mask of the whole `panorama` of faces of `side` pixels."""
    return build_mask(detections, policy, 4 * side, 2 * side)


def as_curved(detections: Detections) -> Detections:
    """`detections` of a panorama with flat boxes as curved ones that hold them."""
    assert detections.sphere is not None
    assert detections.curved is not None
    flat = detections.flat()
    curved = detections.curved.copy()
    curved[flat] = flat_as_curved(detections.xyxy[flat].astype(np.float64), detections.sphere)
    return replace(detections, curved=curved)


def _nadir(policy: Policy, face: CubeFace) -> Region | None:
    radius = math.tan(math.radians(min(policy.nadir_mask, 85.0)))
    curved = np.array([0.0, -math.pi / 2, -radius, -radius, radius, radius])
    outline = on_face(curved, Shape.ELLIPSE, face)
    return None if outline is None else named_region(outline, policy)


def _on_face(region: Region, face: CubeFace) -> Outline | None:
    """The part of a region's outline that `face` shows, None if it shows none of it."""
    outline = region.outline
    parts = outline.parts if isinstance(outline, UnionOutline) else (outline,)
    seen: list[Outline] = []
    for part in parts:
        assert isinstance(part, CurvedOutline)
        shown = on_face(np.array(part.curved), part.shape, face)
        if shown is not None and shown not in seen:
            seen.append(shown)
    if not seen:
        return None
    return seen[0] if len(seen) == 1 else UnionOutline(tuple(seen))


def on_face(curved: Float64, shape: Shape, face: CubeFace) -> CurvedOutline | None:
    """The outline of a curved box (6,), grown already, as `face` shows it; None if it does not."""
    wide = widened(curved, shape, face)
    around = into_frame(edges(wide[None], EDGE_POINTS // 4)[0], face.frame)
    near = np.asarray((np.abs(around) <= DILATED).all(axis=1))
    steps = np.linspace(-1, 1, EDGE_POINTS // 4)
    ends = np.ones_like(steps)
    border = np.concatenate(
        [np.stack(pair, axis=1) for pair in ((steps, ends), (steps, -ends), (ends, steps), (-ends, steps))]
    )
    longitude, latitude = LOOKING[face.name]
    directions = out_of_frame(border, axes(np.array(longitude), np.array(latitude)))
    uv = into_frame(directions, axes(curved[0:1], curved[1:2])[0])
    inside = ((uv >= wide[2:4]) & (uv <= wide[4:])).all(axis=1)
    points = np.concatenate([around[near], border[inside]])
    if len(points) == 0:
        return None
    gaps = np.linalg.norm(np.diff(around, axis=0), axis=1)
    both = near[:-1] & near[1:]
    slack = max(float(gaps[both].max()) if both.any() else 0.0, 2 / EDGE_POINTS)
    low, high = (np.clip(edge, -1, 1) for edge in (points.min(axis=0) - slack, points.max(axis=0) + slack))
    if (low >= high).any():
        return None
    (x1, y1), (x2, y2) = (low + 1) * face.side / 2, (high + 1) * face.side / 2
    window = math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2)
    return CurvedOutline(face, tuple(curved.tolist()), shape, (float(x1), float(y1), float(x2), float(y2)), window)
