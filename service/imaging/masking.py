"""What is hidden: one region per object, grown so that nothing of the object shows, and the areas of the policy.

The mask is the union of its regions, so a detection more never uncovers a pixel. Areas that the policy excludes stay as
they are unless one of its own regions covers them.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from service.imaging.detections import Detections, Float32
from service.imaging.grouping import grouped
from service.imaging.outlines import (
    Bools,
    Box,
    BoxOutline,
    EllipseOutline,
    Outline,
    PolygonOutline,
    UnionOutline,
    Window,
    common,
    polygon_pixels,
)
from service.imaging.sphere import Float64, Sphere
from service.imaging.sphere_outlines import on_panorama, placed
from service.policy import Area, ClassPolicy, Obscure, Policy, Shape

MIN_SIDE = 8.0
"""Pixels; smaller objects are masked as if they were this large. What has no size at all is masked, too."""

CELLS = 2
"""Cells over the short side, at most: with four, one masked face in five was recognized among a hundred."""

REGION = "region"
"""Name of what the policy hides in any case."""


@dataclass(frozen=True, slots=True)
class Region:
    """One thing to hide.

    `name`: the class, or "region". `cells`: over the short side of the outline, at most, before `strength` ≥ 1 makes
    them larger. `forced`: hidden over excluded areas, too.
    """

    name: str
    outline: Outline
    obscure: Obscure
    strength: float
    cells: int
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Mask:
    """The regions of a picture of `width` × `height` upright pixels, and the areas that only forced ones may touch."""

    regions: tuple[Region, ...]
    exclude: tuple[Area, ...]
    width: int
    height: int

    def window(self, region: Region) -> Window:
        """The pixels that `region` may change: x1, y1, x2, y2, clipped to the picture; empty if x1 ≥ x2 or y1 ≥ y2."""
        x1, y1, x2, y2 = region.outline.outer
        return max(x1, 0), max(y1, 0), min(x2, self.width), min(y2, self.height)

    def alpha(self, region: Region, window: Window) -> Float32:
        """Share of the obscured picture in each pixel of `window`: (h, w) float32, 1 fully hidden, 0 untouched.

        A pixel that an excluded area covers only in part is hidden as if it were not excluded.
        """
        alpha = region.outline.alpha(window)
        if not region.forced and self.exclude:
            alpha[self.excluded(window)] = 0
        return alpha

    def coverage(self) -> Bools:
        """The fully hidden pixels: (height, width) bool, upright."""
        return self.hidden((0, 0, self.width, self.height))

    def hidden(self, window: Window) -> Bools:
        """The fully hidden pixels of `window`: (h, w) bool."""
        covered = np.zeros((window[3] - window[1], window[2] - window[0]), np.bool_)
        for region in self.regions:
            x1, y1, x2, y2 = common(self.window(region), window)
            if x1 < x2 and y1 < y2:
                part = covered[y1 - window[1] : y2 - window[1], x1 - window[0] : x2 - window[0]]
                part |= self.alpha(region, (x1, y1, x2, y2)) == 1
        return covered

    def excluded(self, window: Window) -> Bools:
        """The pixels of `window` that only forced regions may touch: (h, w) bool."""
        excluded = np.zeros((window[3] - window[1], window[2] - window[0]), np.bool_)
        for area in self.exclude:
            if _meet(area.xyxy, window):
                excluded |= polygon_pixels(area, window)[1]
        return excluded


def build_mask(detections: Detections, policy: Policy, width: int, height: int) -> Mask:
    """The mask of `policy` over `detections` in a picture of `width` × `height` upright pixels.

    Each box is grown on every side by its class's margin, relative to its own side and at least `min_margin` pixels,
    and to `MIN_SIDE`. A box shape hides it; an ellipse goes through its four corners, so its core holds all of it.
    Boxes of a class that show one object become one region, the union of their outlines.

    Raises KeyError for a class that the policy does not ask for, ValueError for coordinates that are not finite.
    """
    if not np.isfinite(detections.xyxy).all():
        raise ValueError("a detection has coordinates that are not finite")
    sphere = detections.sphere
    found: list[Region] = []
    for name in {detections.classes[i] for i in detections.class_id.tolist()}:
        policy.of(name)
    for of_class in policy.classes:
        for outline in _outlines(_of_class(detections, of_class.name), of_class):
            found.append(Region(of_class.name, outline, of_class.obscure, of_class.strength, CELLS))
    named = [named_region(_area_outline(area), policy) for area in policy.regions]
    exclude = policy.exclude
    if sphere is not None:
        if policy.nadir_mask > 0:
            top = sphere.row(math.radians(policy.nadir_mask) - math.pi / 2)
            named.append(named_region(BoxOutline((0.0, top, float(width), max(float(height), top))), policy))
        found, named = _wrapped(found, sphere), _wrapped(named, sphere)
        exclude = tuple(each for area in exclude for each in wrapped_area(area, sphere))
    return Mask(tuple(found + named), exclude, width, height)


def named_region(outline: Outline, policy: Policy) -> Region:
    """What the policy hides in any case."""
    return Region(REGION, outline, policy.region_obscure, policy.region_strength, CELLS, forced=True)


def _wrapped(regions: list[Region], sphere: Sphere) -> list[Region]:
    """`regions`, those that cross the seam of the panorama on both sides of it."""
    return [replace(region, outline=each) for region in regions for each in placed(region.outline, sphere)]


def _of_class(detections: Detections, name: str) -> Detections:
    if name not in detections.classes:
        return detections.take(np.zeros(0, np.intp))
    return detections.take(detections.class_id == detections.classes.index(name))


def _grown(xyxy: np.ndarray[tuple[int], np.dtype[np.float64]], of_class: ClassPolicy) -> Box:
    low, high = np.minimum(xyxy[:2], xyxy[2:]), np.maximum(xyxy[:2], xyxy[2:])
    side = high - low
    half = np.maximum(side / 2 + np.maximum(of_class.margin * side, of_class.min_margin), MIN_SIDE / 2)
    center = (low + high) / 2
    (x1, y1), (x2, y2) = center - half, center + half
    return float(x1), float(y1), float(x2), float(y2)


def _outline(box: Box, shape: Shape) -> Outline:
    if shape is Shape.BOX:
        return BoxOutline(box)
    x1, y1, x2, y2 = box
    return EllipseOutline((x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2 * math.sqrt(2), (y2 - y1) / 2 * math.sqrt(2))


def _area_outline(area: Area) -> Outline:
    """`area`; four corners of an upright box as the box, whose pixels cost less to find."""
    x1, y1, x2, y2 = area.xyxy
    if area.points == ((x1, y1), (x2, y1), (x2, y2), (x1, y2)):
        return BoxOutline(area.xyxy)
    return PolygonOutline(area)


def _outlines(detections: Detections, of_class: ClassPolicy) -> list[Outline]:
    """One for each object that `detections`, of one class, show: the union of its boxes' outlines."""
    flat = detections.flat()
    boxes = [_grown(xyxy, of_class) for xyxy in detections.xyxy[flat].astype(np.float64)]
    kept = _distinct(boxes, of_class.shape)
    outlines: list[Outline] = [_outline(box, of_class.shape) for box in kept]
    sphere = detections.sphere
    if sphere is not None and detections.curved is not None:
        curved = [
            on_panorama(_grown_curved(each, of_class, sphere), of_class.shape, sphere)
            for each in detections.curved[~flat]
        ]
        outlines += curved
        kept += [each.bounds for each in curved]
    turn = None if sphere is None else sphere.full_width
    groups = grouped(kept, turn)
    if turn is not None:
        outlines = [_beside(outlines[i], kept[i], kept[group[0]], turn) for group in groups for i in group]
        sizes = np.cumsum([0, *map(len, groups)]).tolist()
        groups = [list(range(a, b)) for a, b in pairwise(sizes)]
    parts = [tuple(outlines[i] for i in group) for group in groups]
    return [each[0] if len(each) == 1 else UnionOutline(each) for each in parts]


def _beside(outline: Outline, box: Box, first: Box, turn: float) -> Outline:
    """`outline`, whose box is `box`, on the same side of the seam as the box `first`."""
    shift = round((first[0] + first[2] - box[0] - box[2]) / 2 / turn) * turn
    return outline.shifted(shift) if shift else outline


def _grown_curved(curved: Float64, of_class: ClassPolicy, sphere: Sphere) -> Float64:
    """As `_grown`, in the frame of the view: pixels are those of the panorama at its horizon."""
    scale = 1 / sphere.resolution
    box = _grown(curved[2:] / scale, of_class)
    x1, y1, x2, y2 = (value * scale for value in box)
    if of_class.shape is Shape.ELLIPSE:  # through the corners
        wide, high = (x2 - x1) / 2 * (math.sqrt(2) - 1), (y2 - y1) / 2 * (math.sqrt(2) - 1)
        x1, y1, x2, y2 = x1 - wide, y1 - high, x2 + wide, y2 + high
    return np.array([curved[0], curved[1], x1, y1, x2, y2])


def _distinct(boxes: list[Box], shape: Shape) -> list[Box]:
    """`boxes`, largest first, without those that lie in a larger one: its outline holds theirs.

    Boxes of one object nest often, as it is seen on several levels. An ellipse must hold the whole ellipse of the inner
    box; that its corners do is enough for it, as for the box.
    """
    outer = np.empty((len(boxes), 4))
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda b: (-(b[2] - b[0]) * (b[3] - b[1]), b)):
        if not _held(box, outer[: len(kept)], shape):
            outer[len(kept)] = box
            kept.append(box)
    return kept


def _held(box: Box, others: np.ndarray[tuple[int, int], np.dtype[np.float64]], shape: Shape) -> bool:
    """Whether the outline of `box` lies wholly in that of one of `others` (n, 4)."""
    low, high = others[:, :2], others[:, 2:]
    corner = np.array(box)
    if shape is Shape.BOX:
        return bool(((corner[:2] >= low) & (corner[2:] <= high)).all(axis=1).any())
    # Ellipse in ellipse: in units of the outer one's semi-axes, the inner one's center and its larger semi-axis.
    center, half = (low + high) / 2, (high - low) / 2
    offset = ((corner[:2] + corner[2:]) / 2 - center) / half
    reach = ((corner[2:] - corner[:2]) / 2 / half).max(axis=1)
    return bool((np.hypot(offset[:, 0], offset[:, 1]) / math.sqrt(2) + reach <= 1).any())


def wrapped_area(area: Area, sphere: Sphere) -> list[Area]:
    """`area` at each place where the panorama shows it."""
    return [each.area for each in placed(PolygonOutline(area), sphere) if isinstance(each, PolygonOutline)]


def _meet(box: Box, window: Window) -> bool:
    return box[0] < window[2] and box[2] > window[0] and box[1] < window[3] and box[3] > window[1]
