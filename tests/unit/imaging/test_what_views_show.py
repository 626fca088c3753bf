"""Which places of a picture lie in a view."""

import numpy as np
import pytest

from service.imaging.sphere import Sphere
from service.imaging.sphere_views import AnyView, in_picture, plan_sphere_views, shows
from service.imaging.views import View, plan_views
from service.policy import Effort

TILE = {"tile_width": 160, "tile_height": 160, "overlap": 24, "effort": Effort.BALANCED}
SPHERE = Sphere.whole(1600, 800)
FLAT = [(view, None) for view in plan_views(700, 500, **TILE)]  # type: ignore[arg-type]
CURVED = [(view, SPHERE) for view in plan_sphere_views(SPHERE, **TILE)]  # type: ignore[arg-type]


def places(view: AnyView, sphere: Sphere | None, tile: np.ndarray) -> np.ndarray:
    """Points of the tile (n, 2) as points of the picture (n, 2)."""
    xyxy, _ = in_picture(np.concatenate([tile - 0.1, tile + 0.1], axis=1).astype(np.float32), view, sphere)
    return (xyxy[:, :2].astype(float) + xyxy[:, 2:]) / 2


@pytest.mark.parametrize(("view", "sphere"), FLAT[::5] + CURVED[::9])
def test_what_is_in_the_tile_is_shown_and_what_is_beside_it_is_not(view: AnyView, sphere: Sphere | None) -> None:
    rng = np.random.default_rng(1)
    inside = places(view, sphere, rng.uniform(2, 158, (50, 2)))
    in_it = shows(view, inside)
    within = (inside > 0).all(axis=1) & (inside < [1600, 800] if sphere else inside < [700, 500]).all(axis=1)
    assert in_it[within].all()
    beside = rng.uniform(2, 158, (50, 2)) + rng.choice([-170, 170], (50, 1)) * [0, 1]
    scale = view.scale if isinstance(view, View) else None
    if scale is not None:  # as points of the level, in a straight line
        assert not shows(view, (beside + np.array([view.x, view.y])) / scale).any()


def test_a_view_across_the_seam_shows_both_of_its_sides() -> None:
    view = next(v for v, _ in CURVED if isinstance(v, View) and v.level == 0 and v.x + v.width > 1600)
    y = float(view.y + 80)
    left = view.x + view.width - 1600
    found = shows(view, np.array([[1599.0, y], [1.0, y], [1601.0, y], [left + 5.0, y], [800.0, y]]))
    assert found.tolist() == [True, True, True, False, False]
