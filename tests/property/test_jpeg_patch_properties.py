"""Whatever the picture, its coding, its turn and its masks are: blocks beside the masks stay, hidden pixels do not."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.imaging.codec import decode
from service.imaging.jpeg_patch import patch
from service.imaging.layers import cover
from service.imaging.masking import Mask, Region
from service.imaging.outlines import BoxOutline, EllipseOutline
from service.imaging.raster import upright_view
from service.imaging.source import SourceLimits, inspect
from service.imaging.turbojpeg import load
from service.policy import Area, Obscure
from tests.jpegs import KINDS, coefficients, encoded, photo

LIMITS = SourceLimits(1_000_000, 5_000)
LIBRARY = load()
assert LIBRARY is not None, "libturbojpeg is missing: tests/install-debian.sh"

SIDE = st.integers(1, 90)
PLACE = st.floats(-10, 95)
ELLIPSE = st.builds(EllipseOutline, PLACE, PLACE, st.floats(3, 40), st.floats(3, 40))
BOX = st.tuples(PLACE, PLACE, st.floats(1, 60), st.floats(1, 30)).map(
    lambda b: BoxOutline((b[0], b[1], b[0] + b[2], b[1] + b[3]))
)
OUTLINES = st.lists(ELLIPSE | BOX, min_size=1, max_size=4)
EXCLUDED = st.lists(st.tuples(PLACE, PLACE, st.floats(5, 50)), max_size=1).map(
    lambda boxes: tuple(Area.from_box(x, y, x + s, y + s) for x, y, s in boxes)
)


def masked(data: bytes, outlines, way, exclude=()) -> tuple[bytes, Mask]:
    source = inspect(data, LIMITS)
    mask = Mask(tuple(Region("x", o, way, 1.0, 2) for o in outlines), exclude, source.width, source.height)
    out = patch(cover(decode(source), mask, b"secret"), source, LIBRARY)
    assert out is not None
    return out, mask


def stored(upright, orientation):
    return upright_view(upright, {6: 8, 8: 6}.get(orientation, orientation))


@settings(max_examples=60)
@given(SIDE, SIDE, st.sampled_from(KINDS), st.integers(1, 8), OUTLINES, EXCLUDED, st.sampled_from(Obscure))
def test_blocks_beside_the_mask_stay(height, width, kind, orientation, outlines, exclude, way):
    data = encoded(photo(height, width), kind, orientation=orientation)
    out, mask = masked(data, outlines, way, exclude)
    touched = np.zeros((mask.height, mask.width, 1), np.uint8)
    for region in mask.regions:
        x1, y1, x2, y2 = window = mask.window(region)
        if x1 < x2 and y1 < y2:
            touched[y1:y2, x1:x2, 0] |= mask.alpha(region, window) > 0
    pixels = stored(touched, orientation)[:, :, 0]
    before, _, factors = coefficients(data)
    most = np.max(factors, axis=0)
    for was, now, own in zip(before, coefficients(out)[0], factors, strict=True):
        high, wide = 8 * most // own
        for row, column in np.argwhere((was != now).any(axis=2)):
            assert pixels[row * high : (row + 1) * high, column * wide : (column + 1) * wide].any()


@settings(max_examples=60)
@given(
    st.integers(1, 160),
    st.integers(1, 160),
    st.sampled_from(KINDS),
    st.integers(1, 8),
    OUTLINES,
    EXCLUDED,
    st.integers(20, 100),
    st.sampled_from(Obscure),
)
def test_hidden_pixels_have_no_influence(height, width, kind, orientation, outlines, exclude, quality, way):
    one = photo(height, width)
    data = encoded(one, kind, quality, orientation)
    out, mask = masked(data, outlines, way, exclude)
    hidden = stored(mask.coverage()[:, :, None].astype(np.uint8), orientation)[:, :, 0] > 0
    other = one.copy()
    other[hidden] = 255 - other[hidden]
    assert masked(encoded(other, kind, quality, orientation), outlines, way, exclude)[0] == out
