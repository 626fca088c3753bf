"""Marked cells become rectangles, and parts of tiles lie side by side on sheets: nothing lost, nothing twice."""

from dataclasses import replace
from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.detection.detector import TileBoxes
from service.detection.regions import CELL, MOST, mark, no_cells, rectangles
from service.detection.sheets import GAP, Patch, Sheets, lay_out
from service.imaging.sphere import Sphere
from service.imaging.sphere_views import plan_sphere_views
from service.imaging.views import View
from service.policy import Effort

VIEW = View(0, 0, 0, 320, 256, 3000, 2000)
WIDTH, HEIGHT = 320, 256


def patch(number: int, width: int, height: int) -> Patch:
    """One whose every pixel tells its number and place."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([np.full_like(rows, number), rows % 256, columns % 256], axis=-1).astype(np.uint8)
    return Patch(VIEW, 32 * (number % 5), 32 * (number % 3), pixels)


sizes = st.lists(
    st.tuples(st.integers(1, WIDTH // CELL).map(CELL.__mul__), st.integers(1, HEIGHT // CELL).map(CELL.__mul__)),
    max_size=30,
)


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


@given(sizes)
def test_every_patch_lies_on_one_sheet_and_none_over_another(given_sizes: list[tuple[int, int]]) -> None:
    patches = [patch(number, *size) for number, size in enumerate(given_sizes)]
    sheets = lay_out(patches, WIDTH, HEIGHT)
    assert sorted(each.pixels[0, 0, 0] for sheet in sheets for each in sheet.patches) == list(range(len(patches)))
    for sheet in sheets:
        tile = sheet.tile()
        assert tile.shape == (1, HEIGHT, WIDTH, 3)
        for each, (x, y) in zip(sheet.patches, sheet.corners, strict=True):
            height, width = each.pixels.shape[:2]
            assert (tile[0, y : y + height, x : x + width] == each.pixels).all()
        for (one, (x, y)), (other, (other_x, other_y)) in permutations(
            zip(sheet.patches, sheet.corners, strict=True), 2
        ):
            height, width = one.pixels.shape[:2]
            high, wide = other.pixels.shape[:2]
            assert (
                x + width + one.gap <= other_x
                or other_x + wide + one.gap <= x
                or (y + height + one.gap <= other_y or other_y + high + one.gap <= y)
            )
    area = sum(each.area for each in patches)
    assert len(sheets) <= len(patches)
    assert area <= len(sheets) * WIDTH * HEIGHT


corners = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 3000 - WIDTH]), st.sampled_from([0, 1, 2000 - HEIGHT]),
        st.integers(0, WIDTH // CELL - 1), st.integers(0, HEIGHT // CELL - 1),
        st.integers(1, WIDTH // CELL), st.integers(1, HEIGHT // CELL),
    ),
    max_size=12,
)  # fmt: skip


@given(corners)
def test_what_the_picture_ends_at_lies_at_that_edge_of_a_sheet(
    given_parts: list[tuple[int, int, int, int, int, int]],
) -> None:
    """What the picture's edge cuts looks like an object only with nothing beside it."""
    patches = []
    for number, (view_x, view_y, column, row, columns, rows) in enumerate(given_parts):
        x, y = column * CELL, row * CELL
        part = patch(number, min(columns * CELL, WIDTH - x), min(rows * CELL, HEIGHT - y))
        patches.append(replace(part, view=View(0, view_x, view_y, WIDTH, HEIGHT, 3000, 2000), x=x, y=y))
    placed = [
        (each, corner)
        for sheet in lay_out(patches, WIDTH, HEIGHT)
        for each, corner in zip(sheet.patches, sheet.corners, strict=True)
    ]
    assert len(placed) == len(patches)
    for each, (x, y) in placed:
        height, width = each.pixels.shape[:2]
        if each.view.x == 0 and each.x == 0:
            assert x == 0
        if each.view.x == 3000 - WIDTH and each.x + width == WIDTH:
            assert x == WIDTH - width
        if each.view.y == 0 and each.y == 0:
            assert y == 0
        if each.view.y == 2000 - HEIGHT and each.y + height == HEIGHT:
            assert y == HEIGHT - height
        assert (x - each.x) % CELL == (y - each.y) % CELL == 0, "on the detectors' grid as in its tile"


def test_four_views_of_half_a_tile_fill_a_sheet_and_as_large_parts_lie_alone() -> None:
    planned = plan_sphere_views(
        Sphere.whole(4000, 2000), tile_width=WIDTH, tile_height=HEIGHT, overlap=64, effort=Effort.BALANCED
    )
    small = [view for view in planned if (view.width, view.height) == (WIDTH // 2, HEIGHT // 2)]
    views = [replace(patch(number, WIDTH // 2, HEIGHT // 2), view=small[number]) for number in range(4)]
    assert len(lay_out(views, WIDTH, HEIGHT)) == 1
    assert len(lay_out([replace(each, view=VIEW) for each in views], WIDTH, HEIGHT)) == 4
    assert {each.gap for each in views} == {0}
    assert replace(views[0], view=VIEW).gap == GAP
    close_up = View(3, 0, 0, WIDTH // 2, HEIGHT // 2, 3000, 2000)
    assert replace(views[0], view=close_up).gap == GAP, "the picture's edge may cut what it shows"


@given(sizes)
def test_what_is_found_on_a_sheet_goes_back_to_the_tile_that_it_is_of(given_sizes: list[tuple[int, int]]) -> None:
    for sheet in lay_out([patch(number, *size) for number, size in enumerate(given_sizes)], WIDTH, HEIGHT):
        boxes = [(x + 3, y + 4, x + 21, y + 30) for x, y in sheet.corners]
        scores = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32)
        answer = sheet.answers(TileBoxes(np.array([boxes], np.float32), scores[None]))
        for i, each in enumerate(sheet.patches):
            assert np.flatnonzero(answer.scores[i]).tolist() == [i]
            assert answer.scores[i, i] == scores[i]
            assert answer.boxes[i, i].tolist() == [each.x + 3, each.y + 4, each.x + 21, each.y + 30]


@given(sizes)
def test_what_waits_is_asked_about_once(given_sizes: list[tuple[int, int]]) -> None:
    sheets, asked = Sheets(WIDTH, HEIGHT), []
    for number, size in enumerate(given_sizes):
        sheets.add([patch(number, *size)])
        asked += sheets.full()
    asked += sheets.rest()
    assert sheets.rest() == []
    assert sorted(each.pixels[0, 0, 0] for sheet in asked for each in sheet.patches) == list(range(len(given_sizes)))
