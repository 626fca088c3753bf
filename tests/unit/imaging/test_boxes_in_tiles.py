"""Where boxes of a picture lie in a view's tile."""

import numpy as np
import pytest

from service.imaging.sphere import Sphere
from service.imaging.sphere_views import AnyView, in_picture, in_tile, plan_sphere_views
from service.imaging.views import View, plan_views
from service.policy import Effort

TILE = {"tile_width": 160, "tile_height": 160, "overlap": 24, "effort": Effort.BALANCED}
SPHERE = Sphere.whole(1600, 800)
FLAT = [(view, None) for view in plan_views(700, 500, **TILE)]  # type: ignore[arg-type]
CURVED = [(view, SPHERE) for view in plan_sphere_views(SPHERE, **TILE)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("view", "sphere"), FLAT[::5] + CURVED[::9])
def test_a_box_of_the_tile_is_found_again(view: AnyView, sphere: Sphere | None) -> None:
    corners = np.random.default_rng(1).uniform(2, view.width - 20, (50, 2))
    boxes = np.concatenate([corners, corners + np.array([18, 12])], axis=1)
    xyxy, _ = in_picture(boxes.astype(np.float32), view, sphere)
    known = np.ones(50, np.bool_) if sphere else (xyxy[:, 0] < xyxy[:, 2]) & (xyxy[:, 1] < xyxy[:, 3])
    again = in_tile(view, xyxy.astype(float))[known]
    clipped = np.clip(boxes, 0, None)[known]
    if sphere is None:
        limit = np.array([700, 500] * 2) * view.scale - [view.x, view.y, view.x, view.y]  # type: ignore[union-attr]
        clipped = np.minimum(clipped, limit)
    assert len(again)
    # A perspective view's box is looked for in 49 places; the picture's box is around it and mostly larger.
    tolerance = 0.6 if isinstance(view, View) else 3.0
    assert (again[:, :2] <= clipped[:, :2] + tolerance).all()
    assert (again[:, 2:] >= clipped[:, 2:] - tolerance).all()
    if isinstance(view, View):
        assert np.allclose(again, clipped, atol=tolerance)


@pytest.mark.parametrize(("view", "sphere"), FLAT[::5] + [each for each in CURVED[::9] if isinstance(each[0], View)])
def test_what_is_beside_the_tile_is_not_in_it(view: View, sphere: Sphere | None) -> None:
    rng = np.random.default_rng(2)
    corners = rng.uniform(2, 120, (50, 2)) + rng.choice([-170, 170], (50, 1)) * [0, 1]
    boxes = np.concatenate([corners, corners + np.array([18, 12])], axis=1)
    level = boxes + np.array([view.x, view.y] * 2)
    assert np.isnan(in_tile(view, level / view.scale)).all()


def test_what_lies_behind_a_perspective_view_is_not_in_it() -> None:
    view = next(v for v, _ in CURVED if not isinstance(v, View))
    ahead = view.sphere.row(view.latitude)
    x = (view.longitude / np.pi + 1) * 800
    here = np.array([[x - 5, ahead - 5, x + 5, ahead + 5]])
    behind = here.copy()
    behind[:, [0, 2]] = (x + 800) % 1600 + np.array([-5, 5])
    behind[:, [1, 3]] = 800 - here[:, [3, 1]]
    assert np.allclose(in_tile(view, here).mean(axis=1), view.width / 2, atol=2)
    assert np.isnan(in_tile(view, behind)).all()


def test_a_view_across_the_seam_shows_boxes_on_both_of_its_sides() -> None:
    view = next(v for v, _ in CURVED if isinstance(v, View) and v.level == 0 and v.x + v.width > 1600)
    y, seam = float(view.y + 80), 1600.0 - view.x
    boxes = np.array([[1590.0, y, 1598.0, y + 9], [1.0, y, 9.0, y + 9], [1595.0, y, 1607.0, y + 9], [800.0, y, 809, y]])
    found = in_tile(view, boxes)
    assert found[:3, 0].tolist() == [seam - 10, seam + 1, seam - 5]
    assert found[:3, 2].tolist() == [seam - 2, seam + 9, seam + 7]
    assert np.isnan(found[3]).all()
    everywhere = in_tile(view, np.array([[0.0, 0.0, 1600.0, 800.0]]))
    assert everywhere[0].tolist() == [0, 0, 160, 160]
