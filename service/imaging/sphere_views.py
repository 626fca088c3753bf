"""Where the detectors look in a panorama: windows of it at the horizon, perspective views beyond, at last wide ones.

Around the horizon a panorama is a picture like others, but for its left and right edges being neighbors: there tiles
are cut from it and its halved copies, and go on across the seam. Beyond about 45° of latitude it is stretched, and
views are gnomonic projections, as a camera would see it, at the resolution of the panorama's rows: its rows near a pole
hold the same picture drawn out, and a finer view would show nothing more. The coarsest level are perspective views of
110° that overlap by 60°, for faces that are close to the camera, and so large that half the side of a tile will do.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.imaging.curved import begun, bounds
from service.imaging.rings import Lens, Ring, around, caps
from service.imaging.sphere import Float64, Sphere, axes, into_frame, out_of_frame
from service.imaging.views import DOUBLED, DOUBLED_PIXELS, View, covering, level_side, to_picture
from service.policy import Effort

BAND = math.radians(45)
"""Latitude up to which tiles are cut from the panorama itself, at least. It is stretched by √2 there."""

BAND_MOST = math.radians(52)
"""And at most, where the last row of tiles has room for more."""

WIDE = math.radians(110)
"""Angle that the coarsest views show."""

CLOSE = math.radians(60)
"""Size of objects that lie whole in one of the coarsest views."""

FINER = 1.4
"""Times the resolution of the coarsest level that the next finer one has, at least."""

FARTHEST = 4.0
"""Distance from the middle of a view, in radii, at which boxes that reach beyond its edge are cut off."""

PROBES = 17
"""Directions per side of a view that are probed for whether they lie in the picture."""


@dataclass(frozen=True, slots=True)
class PerspectiveView:
    """What a camera sees that stands in the middle of `sphere` and looks at `longitude`, `latitude` (radians), upright.

    `resolution`: pixels per radian in the middle. `width`, `height`: pixels.
    """

    longitude: float
    latitude: float
    resolution: float
    width: int
    height: int
    sphere: Sphere


AnyView = View | PerspectiveView

SPREAD = np.stack(np.meshgrid(np.linspace(0, 1, 7), np.linspace(0, 1, 7)), axis=-1).reshape(-1, 2)
"""Places in a box that are looked for in a perspective view, as shares of its sides."""


def plan_sphere_views(
    sphere: Sphere, *, tile_width: int, tile_height: int, overlap: int, effort: Effort
) -> tuple[AnyView, ...]:
    """Every tile that a panorama is searched by, fine levels first.

    Efforts as in `views.plan_views`. Together the views of each level show all of the sphere that the picture shows,
    and an object up to `overlap` pixels of the level, or 60° on the coarsest, lies whole in one of them. Views of the
    coarsest level have half the sides of a tile.

    Raises ValueError if the overlap is not smaller than half the tile.
    """
    side = min(tile_width, tile_height)
    if not 0 <= overlap < side / 2:
        raise ValueError("the overlap must be smaller than half the tile")
    wide, high = tile_width // 2, tile_height // 2
    coarsest = min(wide, high) / 2 / math.tan(WIDE / 2)
    level = 1 if effort is Effort.FAST else 0
    if effort is Effort.THOROUGH or (effort is Effort.BALANCED and sphere.width * sphere.height <= DOUBLED_PIXELS):
        level = DOUBLED
    views: list[AnyView] = []
    while (resolution := sphere.resolution * 2.0**-level) > FINER * coarsest:
        band, reach = _band(sphere, level, tile_width, tile_height, overlap)
        lens = Lens(tile_width / 2 / resolution, tile_height / 2 / resolution, overlap / 2 / resolution)
        views += band
        views += _look(caps(lens, reach), sphere, resolution, tile_width, tile_height)
        level += 1
    lens = Lens(wide / 2 / coarsest, high / 2 / coarsest, CLOSE / 2)
    return (*views, *_look(around(lens), sphere, coarsest, wide, high))


def _band(sphere: Sphere, level: int, tile_width: int, tile_height: int, overlap: int) -> tuple[list[View], float]:
    """The tiles around the horizon, row by row, and the latitude up to which they hold small objects whole."""
    scale = 2.0**-level
    resolution = sphere.resolution * scale
    # Rows as high as the tiles make them, so that less is left to the perspective views.
    needed = 2 * BAND * resolution + overlap
    count = max(1, math.ceil((needed - overlap) / (tile_height - overlap)))
    reach = min(count * (tile_height - overlap) / 2 / resolution, BAND_MOST)
    span = 2 * reach * resolution + overlap
    horizon = sphere.row(0.0) * scale
    wide, high = level_side(sphere.width, level), level_side(sphere.height, level)
    top, bottom = max(0, math.floor(horizon - span / 2)), min(high, math.ceil(horizon + span / 2))
    if top >= bottom:
        return [], reach
    views = []
    for y in covering(bottom - top, tile_height, overlap):
        first, last = ((top + row) / scale for row in (y, y + tile_height))
        steepest = min(max(abs(sphere.latitude(first)), abs(sphere.latitude(last))), reach)
        shared = min(math.ceil(overlap / math.cos(steepest)) + 1, tile_width - 1)
        if sphere.wraps:
            tiles = math.ceil(wide / (tile_width - shared))
            columns = tuple(i * wide // tiles for i in range(tiles))
        else:
            columns = covering(wide, tile_width, shared)
        views += [
            View(level, x, top + y, tile_width, tile_height, sphere.width, sphere.height, sphere.wraps) for x in columns
        ]
    return views, reach


def in_picture(
    boxes: npt.NDArray[np.float32], view: AnyView, sphere: Sphere | None
) -> tuple[npt.NDArray[np.float32], Float64 | None]:
    """`boxes` (n, 4) in pixels of the tile of `view`: around them in picture pixels, and curved (`imaging.curved`).

    A box that shows nothing of the picture has no area. Curved boxes are NaN for what is flat, None without a sphere.
    """
    if isinstance(view, View):
        xyxy = to_picture(boxes, view)
        if sphere is None:
            return xyxy, None
        if sphere.wraps:
            xyxy = begun(xyxy.astype(np.float64), sphere).astype(np.float32)
        return xyxy, np.full((len(boxes), 6), np.nan)
    curved = np.empty((len(boxes), 6))
    curved[:, 0], curved[:, 1] = view.longitude, view.latitude
    middle = np.array([view.width / 2, view.height / 2] * 2)
    curved[:, 2:] = np.clip((boxes - middle) / view.resolution, -FARTHEST, FARTHEST)
    around = bounds(curved, view.sphere)
    around[:, [1, 3]] = np.clip(around[:, [1, 3]], 0, view.sphere.height)
    around[around[:, 0] >= view.sphere.width] = 0
    return around.astype(np.float32), curved


def in_tile(view: AnyView, boxes: Float64) -> Float64:
    """Around what `view`, upright, shows of each of `boxes` (n, 4) in picture pixels: (n, 4) in pixels of its tile.

    NaN where it shows nothing of a box.
    """
    side = np.array([view.width, view.height] * 2, np.float64)
    if isinstance(view, View):
        turn = np.array([view.picture_width, 0] * 2)
        corner = np.array([view.x, view.y] * 2)
        shown = np.full(boxes.shape, np.nan)
        for shift in (-turn, 0 * turn, turn) if view.wraps else (0 * turn,):
            moved = np.clip((boxes + shift) * view.scale - corner, 0, side)
            moved[(moved[:, :2] >= moved[:, 2:]).any(axis=1)] = np.nan
            shown[:, :2], shown[:, 2:] = np.fmin(shown, moved)[:, :2], np.fmax(shown, moved)[:, 2:]
        return shown
    frame = axes(np.array(view.longitude), np.array(view.latitude))
    points = boxes[:, None, :2] + SPREAD * (boxes[:, None, 2:] - boxes[:, None, :2])
    uv = into_frame(view.sphere.directions(points), frame)
    seen = ~np.isnan(uv[..., :1])
    least, most = np.where(seen, uv, np.inf).min(axis=1), np.where(seen, uv, -np.inf).max(axis=1)
    shown = np.clip(np.concatenate([least, most], axis=1) * view.resolution + side / 2, 0, side)
    shown[(shown[:, :2] >= shown[:, 2:]).any(axis=1)] = np.nan
    return np.asarray(shown)


def _look(rings: tuple[Ring, ...], sphere: Sphere, resolution: float, width: int, height: int) -> list[PerspectiveView]:
    views = [
        PerspectiveView(2 * math.pi * i / ring.count - math.pi, ring.latitude, resolution, width, height, sphere)
        for ring in rings
        for i in range(ring.count)
    ]
    whole = sphere.wraps and sphere.top < 1 and sphere.top + sphere.height > sphere.full_height - 1
    return views if whole else [view for view in views if _sees(view)]


def _sees(view: PerspectiveView) -> bool:
    """Whether any of the picture is in the view; true where it is close, too."""
    across, down = view.width / 2 / view.resolution, view.height / 2 / view.resolution
    u, v = np.meshgrid(np.linspace(-across, across, PROBES), np.linspace(-down, down, PROBES))
    frame = axes(np.array(view.longitude), np.array(view.latitude))
    points = view.sphere.pixels(out_of_frame(np.stack([u, v], axis=-1), frame)).reshape(-1, 2)
    sphere = view.sphere
    near = 2 * math.hypot(across, down) / PROBES * sphere.resolution
    steep = near / max(math.cos(min(abs(view.latitude) + math.atan(down), math.pi / 2)), 0.05)
    x = points[:, 0] % sphere.full_width
    beside = np.minimum(np.maximum(x - sphere.width, 0), sphere.full_width - x)
    above = np.maximum(np.maximum(-points[:, 1], points[:, 1] - sphere.height), 0)
    return bool(((beside <= steep) & (above <= near)).any())
