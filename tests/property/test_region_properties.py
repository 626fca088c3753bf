"""Marked cells become rectangles, and of tiles all that shows anything is looked at: nothing lost, nothing twice."""

import asyncio

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.detection.detector import TileBoxes, Tiles
from service.detection.packing import detect
from service.detection.regions import CELL, MOST, mark, no_cells, rectangles, shown
from service.imaging.views import View
from tests.toy import toy_spec

WIDTH, HEIGHT = 320, 256


@given(st.integers(33, 400), st.integers(33, 400), st.integers(0, 2**32 - 1), st.floats(0, 0.5))
def test_rectangles_hold_every_marked_cell_and_do_not_overlap(width: int, height: int, seed: int, share: float) -> None:
    cells = no_cells(width, height)
    cells[:] = np.random.default_rng(seed).random(cells.shape) < share
    found = rectangles(cells, width, height)
    times = np.zeros((height, width), int)
    for x1, y1, x2, y2 in found:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        times[y1:y2, x1:x2] += 1
    assert times.max() <= 1
    marked = np.kron(cells, np.ones((CELL, CELL), np.bool_))[:height, :width]
    assert times[marked].all()
    assert found == [(0, 0, width, height)] or times.sum() <= (MOST + 0.01) * cells.size * CELL**2


def quarters(least: int, most: int) -> st.SearchStrategy[float]:
    """Pixels and quarters of pixels."""
    return st.integers(4 * least, 4 * most).map(lambda v: v / 4)


@given(quarters(-50, 380), quarters(-50, 300), quarters(0, 200), quarters(0, 200), quarters(0, 100))
def test_a_box_marks_the_cells_that_it_touches(x: float, y: float, width: float, height: float, margin: float) -> None:
    cells = no_cells(WIDTH, HEIGHT)
    mark(cells, [(x, y, x + width, y + height)], margin)
    for row, column in np.ndindex(cells.shape):
        left, top = column * CELL, row * CELL
        over = left < x + width + margin and x - margin < left + CELL
        over &= top < y + height + margin and y - margin < top + CELL
        if over:
            assert cells[row, column]
        elif cells[row, column]:  # nothing but a cell on whose edge the box ends
            assert left <= x + width + margin + 1e-6
            assert x - margin <= left + CELL + 1e-6
            assert top <= y + height + margin + 1e-6
            assert y - margin <= top + CELL + 1e-6


@given(
    st.integers(1, 900), st.integers(1, 900), st.integers(0, 600), st.integers(0, 600),
    st.integers(-1, 2), st.sampled_from([64, 160, 320]), st.booleans(), st.integers(0, 3),
)  # fmt: skip
def test_all_of_a_tile_that_shows_anything_is_what_is_shown(
    picture_width: int, picture_height: int, x: int, y: int, level: int, side: int, wraps: bool, quarters: int
) -> None:
    view = View(level, x, y, side, side, picture_width, picture_height, wraps, quarters)
    width, height = shown(view)
    assert 64 <= width <= side
    assert 64 <= height <= side
    if quarters:
        assert (width, height) == (side, side)
        return
    across, down = view.level_size
    assert width == side or (not wraps and x + width >= across)
    assert height == side or y + height >= down
    assert width <= 64 or wraps or x + width - across < CELL
    assert height <= 64 or y + height - down < CELL


class Corner:
    """A detector for tiles of one size, or any, that finds the upper left pixels of small tiles by their green."""

    spec = toy_spec(tile_width=WIDTH, tile_height=HEIGHT, max_detections=200)
    max_batch = 1

    def __init__(self, *, any_size: bool) -> None:
        self.any_size = any_size
        self.asked = 0

    async def detect(self, tiles: Tiles) -> TileBoxes:
        self.asked += 1
        assert self.any_size or tiles.shape == (1, HEIGHT, WIDTH, 3)
        boxes, scores = np.zeros((len(tiles), 200, 4), np.float32), np.zeros((len(tiles), 200), np.float32)
        for i, tile in enumerate(tiles):
            places = np.argwhere(tile[..., 0] == 7)[:200, ::-1]
            boxes[i, : len(places)] = np.concatenate([places, places + 1], axis=1)
            scores[i, : len(places)] = tile[places[:, 1], places[:, 0], 1] / 255
        return TileBoxes(boxes, scores)

    async def check(self) -> None: ...

    async def close(self) -> None: ...


@given(st.integers(1, 9), st.integers(32, WIDTH), st.integers(32, HEIGHT), st.booleans())
def test_small_tiles_side_by_side_have_what_each_has_alone(count: int, width: int, height: int, any_size: bool) -> None:
    tiles = np.zeros((count, height, width, 3), np.uint8)
    tiles[:, 0, 0, 0] = tiles[:, -1, -1, 0] = 7
    tiles[:, 0, 0, 1] = tiles[:, -1, -1, 1] = 100 + np.arange(count)
    detector = Corner(any_size=any_size)
    answer = asyncio.run(detect(detector, tiles))
    assert detector.asked == (1 if any_size else -(-count // (WIDTH // width * (HEIGHT // height))))
    for i in range(count):
        (of,) = np.nonzero(answer.scores[i])
        assert (answer.scores[i, of] == np.float32((100 + i) / 255)).all()
        assert answer.boxes[i, of].tolist() == [[0, 0, 1, 1], [width - 1, height - 1, width, height]]


def test_small_tiles_that_find_more_than_one_answer_holds_are_asked_about_alone() -> None:
    tiles = np.zeros((4, HEIGHT // 2, WIDTH // 2, 3), np.uint8)
    tiles[:, ::16, ::20] = (7, 200, 0)
    detector = Corner(any_size=False)
    answer = asyncio.run(detect(detector, tiles))
    assert detector.asked == 1 + len(tiles)
    assert (np.count_nonzero(answer.scores, axis=1) == 64).all()
