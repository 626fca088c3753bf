"""Strength only ever makes cells coarser."""

from hypothesis import assume, given
from hypothesis import strategies as st

from service.imaging.cells import grid
from service.imaging.masking import CELLS, Region
from service.imaging.outlines import BoxOutline, EllipseOutline
from service.policy import Obscure

SIDE = 2048
PLACE, LENGTH = st.floats(0, SIDE), st.floats(1, 600)
STRENGTH = st.floats(1, 4)
OUTLINE = st.builds(EllipseOutline, PLACE, PLACE, LENGTH, LENGTH) | st.builds(
    lambda x, y, w, h: BoxOutline((x, y, x + w, y + h)), PLACE, PLACE, LENGTH, LENGTH
)


def cells_of(outline, strength):
    return grid(Region("face", outline, Obscure.BLUR, strength, CELLS), SIDE, SIDE)


@given(OUTLINE, STRENGTH, STRENGTH)
def test_the_cells_of_more_strength_are_made_of_whole_cells_of_less(outline, one, other):
    x1, y1, x2, y2 = outline.outer
    assume(x1 < SIDE and y1 < SIDE and x2 > 0 and y2 > 0)
    fine, coarse = (cells_of(outline, s) for s in sorted((one, other)))
    (across, down), (wide, high) = _pitch(fine), _pitch(coarse)
    assert wide % across == 0
    assert high % down == 0
    assert wide >= across
    for near, far in ((0, 2), (1, 3)):
        step = (across, down)[near]
        assert coarse.window[near] <= fine.window[near]
        assert coarse.window[far] >= fine.window[far]
        assert (fine.window[near] - coarse.window[near]) % step == 0


def _pitch(cells):
    x1, y1, x2, y2 = cells.window
    return (x2 - x1) / cells.columns, (y2 - y1) / cells.rows
