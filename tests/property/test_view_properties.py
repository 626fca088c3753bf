"""Whatever the picture's size: every pixel of every level lies in a tile, and small objects lie whole in one."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.imaging.quarters import turned, turned_back
from service.imaging.views import View, plan_views, to_picture
from service.policy import Effort

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.sampled_from([64, 96, 160]), st.integers(0, 63), st.sampled_from(Effort))
def test_tiles_cover_their_level_and_hold_small_objects_whole(width, height, tile, overlap, effort):
    planned = plan_views(width, height, tile_width=tile, tile_height=64, overlap=overlap, effort=effort)
    assert len(set(planned)) == len(planned)
    for level, quarters in {(v.level, v.quarters) for v in planned}:
        own = [v for v in planned if (v.level, v.quarters) == (level, quarters)]
        across, down = own[0].level_size
        rows, columns = sorted({v.y for v in own}), sorted({v.x for v in own})
        assert len(own) == len(rows) * len(columns)
        window = (64, tile) if quarters % 2 else (tile, 64)
        assert {(v.width, v.height) for v in own} == {window}
        for starts, size, side in ((columns, window[0], across), (rows, window[1], down)):
            assert starts[0] == 0
            assert starts[-1] + size >= side
            assert len(starts) == 1 or starts[-1] + size == side
            assert all(a + size - b >= overlap for a, b in pairwise(starts))


@given(SIDES, SIDES, st.data())
def test_boxes_on_a_level_come_back_to_the_picture(width, height, data):
    planned = plan_views(width, height, tile_width=96, tile_height=64, overlap=32, effort=Effort.THOROUGH)
    view = data.draw(st.sampled_from(planned))
    x1, y1 = data.draw(st.floats(0, width, width=32)), data.draw(st.floats(0, height, width=32))
    x2, y2 = data.draw(st.floats(x1, width, width=32)), data.draw(st.floats(y1, height, width=32))
    box = np.array([x1, y1, x2, y2], np.float32)
    in_window = box * np.float32(view.scale) - np.array([view.x, view.y, view.x, view.y], np.float32)
    assert np.allclose(to_picture(as_turned(in_window, view), view), box, atol=0.02)


def as_turned(box: np.ndarray, view: View) -> np.ndarray:
    """`box` (4,) of the window where it lies in the tile: a quarter at a time, right edge up."""
    width, height = view.width, view.height
    for _ in range(view.quarters):
        x1, y1, x2, y2 = box
        box = np.array([y1, width - x2, y2, width - x1], np.float32)
        width, height = height, width
    return box


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3), st.data())
def test_boxes_in_turned_tiles_come_back_exactly(width, height, quarters, data):
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
    window = np.zeros((height, width, 3), np.uint8)
    window[y1:y2, x1:x2] = 255
    rows, columns = np.nonzero((turned(window, quarters) if quarters else window)[..., 0])
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    assert turned_back(seen, quarters, width, height).tolist() == [[x1, y1, x2, y2]]
