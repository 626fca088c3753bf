"""Whatever a panorama's size: every direction lies in a view of each level, with all of a small object around it."""

import math
from functools import lru_cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.imaging.sphere import Sphere, axes, into_frame, out_of_frame, towards
from service.imaging.sphere_views import CLOSE, AnyView, PerspectiveView, plan_sphere_views
from service.imaging.views import View, plan_views
from service.policy import Effort

WIDTHS = (1024, 1333, 3001, 5760, 8192)
LONGITUDES, LATITUDES = st.floats(-math.pi, math.pi), st.floats(-math.pi / 2, math.pi / 2)
POLES = st.one_of(
    LATITUDES, st.sampled_from([-1, 1]).flatmap(lambda s: st.floats(1.3, math.pi / 2).map(lambda v: s * v))
)


@lru_cache(maxsize=64)
def planned(sphere: Sphere, tile: int, overlap: int, effort: Effort) -> dict[float, tuple[AnyView, ...]]:
    """The views of each level, by pixels per radian."""
    by_level: dict[float, list[AnyView]] = {}
    for view in plan_sphere_views(sphere, tile_width=tile, tile_height=tile, overlap=overlap, effort=effort):
        level = view.resolution if isinstance(view, PerspectiveView) else sphere.resolution * view.scale
        by_level.setdefault(round(level, 6), []).append(view)
    return {level: tuple(views) for level, views in by_level.items()}


def circle(longitude: float, latitude: float, radius: float) -> np.ndarray:
    """The directions (24, 3) at `radius` from a place."""
    angle = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    uv = math.tan(radius) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return out_of_frame(uv, axes(np.array(longitude), np.array(latitude)))


def holds(view: AnyView, sphere: Sphere, directions: np.ndarray) -> bool:
    """Whether all of `directions` lie in the tile of `view`, give or take half a pixel."""
    if isinstance(view, PerspectiveView):
        uv = into_frame(directions, axes(np.array(view.longitude), np.array(view.latitude))) * view.resolution
        return bool((np.abs(uv) <= np.array([view.width, view.height]) / 2 + 0.5).all())
    points = sphere.pixels(directions) * view.scale
    turn = sphere.full_width * view.scale
    if view.wraps:
        middle = view.x + view.width / 2
        points[:, 0] = middle + (points[:, 0] - middle + turn / 2) % turn - turn / 2
    corner = np.array([view.x, view.y])
    return bool(((points >= corner - 0.5) & (points <= corner + np.array([view.width, view.height]) + 0.5)).all())


@settings(max_examples=300, deadline=None)
@given(
    LONGITUDES,
    POLES,
    st.sampled_from(WIDTHS),
    st.sampled_from(Effort),
    st.sampled_from([(640, 96), (512, 64)]),
)
def test_each_level_holds_a_small_object_anywhere_whole(longitude, latitude, width, effort, tile):
    sphere = Sphere.whole(width, -(-width // 2))
    side, overlap = tile
    levels = planned(sphere, side, overlap, effort)
    coarsest = min(levels)
    for level, views in levels.items():
        radius = CLOSE / 2 if level == coarsest else overlap / 2 / level
        seen = circle(longitude, latitude, radius)
        assert any(holds(view, sphere, seen) for view in views), f"{level:.0f} pixels per radian"


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0, 1), st.floats(0, 1)),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([2048, 5760, 8192]),
)
def test_each_level_shows_every_pixel_of_a_part_of_a_panorama(part, x, y, full):
    width, height = max(8, round(part[0] * full)), max(8, round(part[1] * full / 2))
    left, top = part[2] * (full - width), part[3] * (full / 2 - height)
    sphere = Sphere(width, height, float(full), full / 2, left, top)
    seen = sphere.directions(np.array([[x * (width - 1) + 0.5, y * (height - 1) + 0.5]]))
    for level, views in planned(sphere, 640, 96, Effort.BALANCED).items():
        assert any(holds(view, sphere, seen) for view in views), f"{level:.0f} pixels per radian"


@given(st.lists(st.tuples(LONGITUDES, LATITUDES), min_size=1, max_size=20), st.sampled_from(WIDTHS))
def test_directions_and_pixels_are_inverse(places, width):
    sphere = Sphere.whole(width, width // 2)
    there = towards(*np.array(places).T)
    assert np.allclose(sphere.directions(sphere.pixels(there)), there, atol=1e-9)
    x = np.array([0, width // 5, width - 1])
    for y in (0, sphere.height // 3, sphere.height - 1):
        rays = sphere.rays((0, y, width, y + 1))[:, 0, x].T
        assert np.allclose(rays, sphere.directions(np.stack([x + 0.5, np.full(3, y + 0.5)], axis=1)), atol=1e-6)


def test_a_panorama_costs_about_as_many_tiles_as_a_flat_picture_of_its_size():
    for width, most in ((5760, 1.1), (12288, 0.9), (16384, 0.9)):
        tile = {"tile_width": 640, "tile_height": 640, "overlap": 96, "effort": Effort.BALANCED}
        panorama = plan_sphere_views(Sphere.whole(width, width // 2), **tile)
        assert len(panorama) <= most * len(plan_views(width, width // 2, **tile))
        assert any(isinstance(view, View) for view in panorama)
