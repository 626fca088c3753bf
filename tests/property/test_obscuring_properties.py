"""What a mask hides makes no difference to anything that leaves, in any color model, turn and arrangement of masks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.imaging.masking import CELLS, Mask, Region
from service.imaging.obscuring import obscure
from service.imaging.outlines import BoxOutline, EllipseOutline, PolygonOutline, UnionOutline
from service.imaging.raster import ColorModel, Raster, upright_view
from service.policy import Area, Obscure

SIDE, PLACE = st.integers(1, 140), st.floats(-20, 150)
ELLIPSE = st.builds(EllipseOutline, PLACE, PLACE, st.floats(3, 60), st.floats(3, 60))
BOX = st.builds(lambda x, y, w, h: BoxOutline((x, y, x + w, y + h)), PLACE, PLACE, st.floats(1, 90), st.floats(1, 50))
TRIANGLE = st.builds(
    lambda x, y, w, h: PolygonOutline(Area(points=((x, y), (x + w, y + h / 3), (x + w / 2, y + h)))),
    st.floats(0, 100),
    st.floats(0, 100),
    st.floats(5, 60),
    st.floats(5, 60),
)
PAIR = st.builds(lambda one, other: UnionOutline((one, other)), ELLIPSE, BOX)
REGION = st.builds(
    Region, st.just("x"), ELLIPSE | BOX | TRIANGLE | PAIR, st.sampled_from(Obscure), st.floats(1, 3), st.just(CELLS)
)
EXCLUDED = st.lists(st.tuples(PLACE, PLACE, st.floats(5, 50)), max_size=1).map(
    lambda boxes: tuple(Area.from_box(x, y, x + s, y + s) for x, y, s in boxes)
)
DTYPE = st.sampled_from([np.uint8, np.uint16])


@given(
    SIDE,
    SIDE,
    st.lists(REGION, min_size=1, max_size=5),
    EXCLUDED,
    st.integers(1, 8),
    st.sampled_from(ColorModel),
    st.booleans(),
    DTYPE,
)
def test_hidden_pixels_make_no_difference(height, width, regions, exclude, orientation, color, alpha, dtype):
    mask = Mask(tuple(regions), exclude, width, height)
    rng = np.random.default_rng(3)
    one, new = rng.integers(0, np.iinfo(dtype).max, (2, height, width, color.channels + alpha), dtype, endpoint=True)
    other = np.where(mask.coverage()[:, :, None], new, one)
    results = []
    for upright in (one, other):
        stored = np.array(upright_view(upright, {6: 8, 8: 6}.get(orientation, orientation)), order="C")
        results.append(obscure(Raster(stored, color, alpha, orientation), mask, b"secret").raster.pixels)
    np.testing.assert_array_equal(*results)
