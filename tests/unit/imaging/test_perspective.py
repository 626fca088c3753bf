"""What a perspective view shows, pixel by pixel, of a panorama in which each color says its direction."""

import math
import tracemalloc

import numpy as np
import pytest

from service.imaging.perspective import perspective_tile
from service.imaging.raster import ColorModel, Raster
from service.imaging.sphere import Sphere, axes, out_of_frame
from service.imaging.sphere_views import PerspectiveView, plan_sphere_views
from service.imaging.views import Pyramid
from service.policy import Effort

WIDTH, HEIGHT = 4096, 2048
SPHERE = Sphere(WIDTH, HEIGHT, WIDTH, HEIGHT, 0, 0)
VIEWS = tuple(
    view
    for view in plan_sphere_views(SPHERE, tile_width=320, tile_height=320, overlap=64, effort=Effort.FAST)
    if isinstance(view, PerspectiveView)
)


def colors(directions: np.ndarray) -> np.ndarray:
    """Directions (…, 3) as colors that change little from pixel to pixel, so that interpolating costs no accuracy."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.asarray(np.round(127.5 + 120 * unit))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    return colors(SPHERE.directions(np.stack([x, y], axis=-1))).astype(np.uint8)


def expected(view: PerspectiveView) -> np.ndarray:
    u = (np.arange(view.width) + 0.5 - view.width / 2) / view.resolution
    v = (np.arange(view.height) + 0.5 - view.height / 2) / view.resolution
    frame = axes(np.array(view.longitude), np.array(view.latitude))
    return colors(out_of_frame(np.stack(np.meshgrid(u, v), axis=-1), frame))


def around_a_pole(view: PerspectiveView) -> bool:
    return abs(view.latitude) > math.radians(60)


def test_each_pixel_shows_what_lies_in_its_direction(pixels: np.ndarray) -> None:
    opaque = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alike = (
        Raster(pixels, ColorModel.RGB, alpha=False),
        Raster(np.ascontiguousarray(pixels[::-1, ::-1]), ColorModel.RGB, alpha=False, orientation=3),
        Raster(np.concatenate([pixels, opaque], axis=2), ColorModel.RGB, alpha=True),
    )
    assert any(around_a_pole(view) for view in VIEWS)
    for raster in alike:
        pyramid = Pyramid(raster)
        for view in VIEWS:
            tile = perspective_tile(pyramid, view)
            assert tile.shape == (view.height, view.width, 3)
            assert np.abs(tile - expected(view)).max() <= 2, (view.longitude, view.latitude, raster.orientation)


def test_a_view_around_a_pole_takes_no_copy_of_all_columns(pixels: np.ndarray) -> None:
    pyramid = Pyramid(Raster(pixels, ColorModel.RGB, alpha=False))
    for view in filter(around_a_pole, VIEWS):
        perspective_tile(pyramid, view)  # levels and maps are made once
        tracemalloc.start()
        perspective_tile(pyramid, view)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 14 * view.width * view.height  # the tile and where it is sampled; a copy alone would be more
