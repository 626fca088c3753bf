"""Union: whatever is found besides, nothing that was hidden shows again. And outlines are exact to the pixel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.imaging.detections import Detections
from service.imaging.masking import build_mask
from service.imaging.outlines import polygon_pixels
from service.policy import Area, ClassPolicy, Policy, Shape

W, H = 90, 70
NAMES = ("face", "plate")
PLACE = st.floats(-15, 105, width=32)
BOX = st.tuples(PLACE, PLACE, st.floats(0, 50, width=32), st.floats(0, 50, width=32), st.integers(0, 1))
POINT = st.tuples(st.floats(-10, 100), st.floats(-10, 80)) | st.tuples(st.integers(-10, 100), st.integers(-10, 80))
AREA = st.lists(POINT, min_size=3, max_size=7).map(lambda points: Area(points=tuple(points)))
AREAS = st.lists(AREA, max_size=2).map(tuple)


def detections(rows):
    table = np.array(rows, np.float32).reshape(-1, 5)
    xyxy = np.hstack([table[:, :2], table[:, :2] + table[:, 2:4]])
    ids = table[:, 4].astype(np.int32)
    return Detections(xyxy, np.ones(len(ids), np.float32), ids, np.zeros(len(ids), np.int32), NAMES, ("m/1",))


def policy(margin, regions, exclude):
    shapes = (Shape.ELLIPSE, Shape.BOX)
    classes = [ClassPolicy(name=n, threshold=0.5, margin=margin, shape=s) for n, s in zip(NAMES, shapes, strict=True)]
    return Policy(classes=tuple(classes), regions=regions, exclude=exclude)


@given(st.lists(BOX, max_size=6), BOX, st.floats(0, 0.5), AREAS, AREAS)
def test_a_detection_more_never_uncovers_a_pixel(rows, more, margin, regions, exclude):
    wanted = policy(margin, regions, exclude)
    before = build_mask(detections(rows), wanted, W, H).coverage()
    after = build_mask(detections([*rows, more]), wanted, W, H).coverage()
    assert not (before & ~after).any()


@st.composite
def nearly_nested(draw):
    """A box and some that lie in it or nearly so, as levels see one object."""
    x, y, w, h = (draw(st.integers(8, 40)) for _ in range(4))
    inner = st.tuples(st.integers(-2, w // 2), st.integers(-2, h // 2), st.integers(0, w), st.integers(0, h))
    rows = [(x + dx, y + dy, max(w - sx, 0), max(h - sy, 0)) for dx, dy, sx, sy in draw(st.lists(inner, max_size=4))]
    return [(*row, draw(st.integers(0, 1))) for row in [(x, y, w, h), *rows]]


@given(nearly_nested(), st.floats(0, 0.5), AREAS)
def test_the_mask_is_the_union_of_each_detection_s_own(rows, margin, exclude):
    wanted = policy(margin, (), exclude)
    separate = [build_mask(detections([row]), wanted, W, H).coverage() for row in rows]
    assert np.array_equal(build_mask(detections(rows), wanted, W, H).coverage(), np.logical_or.reduce(separate))


@given(BOX, st.floats(0, 0.5))
def test_every_pixel_that_a_detection_touches_is_fully_hidden(row, margin):
    covered = build_mask(detections([row]), policy(margin, (), ()), W, H).coverage()
    x1, y1 = np.floor(row[:2]).astype(int).clip(0)
    x2, y2 = np.ceil(np.add(row[:2], row[2:4])).astype(int).clip(0)
    assert covered[y1:y2, x1:x2].all()


@given(st.lists(BOX, max_size=6), AREAS, AREAS, st.randoms())
def test_the_order_of_detections_cannot_matter(rows, regions, exclude, random):
    wanted = policy(0.1, regions, exclude)
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (build_mask(detections(r), wanted, W, H) for r in (rows, shuffled))
    assert one == other


def winding(points, x, y):
    """Winding number of a polygon around (x, y), by the crossings of a ray to the right: the textbook's way."""
    turns = np.zeros(np.shape(x), int)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        if ay != by:
            with np.errstate(over="ignore"):
                at = ax + (y - ay) * (bx - ax) / (by - ay)
            turns += np.where((ay <= y) & (y < by) & (at > x), 1, 0) - np.where((by <= y) & (y < ay) & (at > x), 1, 0)
    return turns


@given(AREA, st.integers(0, 2**32 - 1))
def test_polygons_touch_every_pixel_they_reach_and_hold_only_whole_ones(area, seed):
    touched, inside = polygon_pixels(area, (0, 0, W, H))
    assert not (inside & ~touched).any()
    x, y = np.random.default_rng(seed).uniform(0, 1, (2, 4000)) * [[W], [H]]
    turns = winding(list(area.points), x, y)
    column, row = x.astype(int), y.astype(int)
    assert touched[row[turns != 0], column[turns != 0]].all()
    assert (turns[inside[row, column]] % 2 == 1).all()


@given(AREA, st.integers(0, W - 1), st.integers(0, H - 1))
def test_a_polygon_s_pixels_do_not_depend_on_the_window(area, x, y):
    whole, _ = polygon_pixels(area, (0, 0, W, H))
    part, _ = polygon_pixels(area, (x, y, W, H))
    assert np.array_equal(part, whole[y:, x:])
