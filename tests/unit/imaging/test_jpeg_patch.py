"""A patched JPEG is what came in, coefficient by coefficient, but for the blocks that a mask reaches."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from service.errors import CorruptImage
from service.imaging.codec import decode, encode
from service.imaging.containers.jpeg_frame import read_frame
from service.imaging.formats import ImageFormat
from service.imaging.jpeg_patch import patch
from service.imaging.jpeg_turn import turns_whole
from service.imaging.layers import cover
from service.imaging.masking import Mask, Region
from service.imaging.obscuring import Composite, obscure
from service.imaging.outlines import BoxOutline, EllipseOutline
from service.imaging.raster import upright_view
from service.imaging.source import SourceLimits, inspect
from service.imaging.turbojpeg import load
from service.imaging.uprighting import store_upright
from service.imaging.verify import verify
from service.policy import Area, Obscure
from tests.images import LEAK, leaky_jpeg
from tests.jpegs import INKS, KINDS, coefficients, encoded, photo, pixels_of

LIMITS = SourceLimits(10_000_000, 65_500)
SECRET = b"a secret of this test"
LIBRARY = load()
assert LIBRARY is not None, "libturbojpeg is missing: tests/install-debian.sh"

FACE = EllipseOutline(70.3, 60.2, 21, 27)
PLATE = BoxOutline((101.5, 33.2, 140.7, 47.9))
CORNER = BoxOutline((-5, -5, 12, 9))


def mask_over(data, *outlines, way=Obscure.BLUR, exclude=()):
    source = inspect(data, LIMITS)
    cells = {EllipseOutline: 4, BoxOutline: 2}
    regions = tuple(Region("face", o, way, 1.0, cells[type(o)]) for o in outlines)
    return Mask(regions, exclude, source.width, source.height)


def composite_of(data: bytes, mask: Mask) -> Composite:
    return obscure(decode(inspect(data, LIMITS)), mask, SECRET)


def patched(data, mask, **options) -> bytes:
    """`data` with `mask`, patched and through the output's own check."""
    composite = composite_of(data, mask)
    out = patch(composite, inspect(data, LIMITS), LIBRARY, **options)
    assert out is not None
    verify(out, ImageFormat.JPEG, composite)
    return out


def reached(data, mask):
    """Where the mask changes anything and where it hides all, as stored: two (H, W) bool."""
    touched = np.zeros((mask.height, mask.width), bool)
    for region in mask.regions:
        x1, y1, x2, y2 = window = mask.window(region)
        touched[y1:y2, x1:x2] |= mask.alpha(region, window) > 0
    inverse = {6: 8, 8: 6}
    orientation = inspect(data, LIMITS).orientation
    both = np.dstack([touched, mask.coverage()]).astype(np.uint8)
    stored = upright_view(both, inverse.get(orientation, orientation)) > 0
    return stored[:, :, 0], stored[:, :, 1]


def blocks_of(pixels, planes, factors):
    """For each component, which of its blocks lie over any of `pixels` (H, W) bool: (rows, columns) bool each."""
    most_down, most_across = np.max(factors, axis=0)
    found = []
    for plane, (down, across) in zip(planes, factors, strict=True):
        high, wide = 8 * most_down // down, 8 * most_across // across
        rows, columns = plane.shape[:2]
        padded = np.zeros((rows * high, columns * wide), bool)
        padded[: pixels.shape[0], : pixels.shape[1]] = pixels[: rows * high, : columns * wide]
        found.append(padded.reshape(rows, high, columns, wide).any(axis=(1, 3)))
    return found


def assert_only_masked_blocks_differ(data, out, mask):
    before, tables, factors = coefficients(data)
    after, tables_after, factors_after = coefficients(out)
    np.testing.assert_array_equal(tables_after, tables)
    assert factors_after == factors
    touched, _ = reached(data, mask)
    changed = 0
    for was, now, allowed in zip(before, after, blocks_of(touched, before, factors), strict=True):
        differ = (was != now).any(axis=2)
        assert not (differ & ~allowed).any()
        changed += differ.sum()
    assert (changed > 0) == bool(mask.regions)


# --- what stays --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(112, 160), (113, 161), (120, 168), (127, 175)])
@pytest.mark.parametrize("kind", KINDS)
def test_no_coefficient_beside_the_mask_changes(kind, size):
    data = encoded(photo(*size), kind)
    mask = mask_over(data, FACE, PLATE, CORNER)
    out = patched(data, mask)
    assert_only_masked_blocks_differ(data, out, mask)
    was, now = read_frame(data), read_frame(out)
    assert (now.width, now.height, now.coding, now.progressive) == (*size[::-1], was.coding, was.progressive)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["4:2:0", "4:2:2", "progressive"])
def test_masks_are_upright_and_coefficients_as_stored(kind, orientation):
    data = encoded(photo(117, 171), kind, orientation=orientation)
    mask = mask_over(data, BoxOutline((20, 70, 60, 90)), EllipseOutline(80, 40, 15, 22))
    out = patched(data, mask)
    assert_only_masked_blocks_differ(data, out, mask)
    _, hidden = reached(data, mask)
    expected = composite_of(data, mask).raster.pixels
    assert np.abs(pixels_of(out)[hidden].astype(int) - expected[hidden]).mean() < 3


@pytest.mark.parametrize("kind", KINDS)
def test_decoded_pixels_are_identical_two_pixels_from_the_blocks(kind):
    data = encoded(photo(144, 208), kind)
    mask = mask_over(data, FACE, PLATE)
    out = patched(data, mask)
    planes, _, factors = coefficients(data)
    touched, _ = reached(data, mask)
    down, across = np.max(factors, axis=0) * 8
    most = np.zeros(touched.shape, bool)
    for y, x in np.argwhere(touched):
        most[y // down * down : (y // down + 1) * down, x // across * across : (x // across + 1) * across] = True
    ring = cv2.dilate(most.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    was, now = pixels_of(data), pixels_of(out)
    np.testing.assert_array_equal(now[~ring], was[~ring])
    assert (now != was).any()
    assert len(planes) == {"gray": 1, "gray progressive": 1, "CMYK": 4, "CMYK plain": 4, "YCCK": 4}.get(kind, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_mask_every_coefficient_is_copied(kind):
    data = encoded(photo(61, 93), kind)
    mask = mask_over(data)
    out = patched(data, mask)
    assert_only_masked_blocks_differ(data, out, mask)
    np.testing.assert_array_equal(pixels_of(out), pixels_of(data))


def test_progressive_becomes_sequential_where_that_is_asked_for():
    data = encoded(photo(90, 120), "progressive")
    mask = mask_over(data, FACE)
    same, sequential = (patched(data, mask, keep_progressive=keep) for keep in (True, False))
    assert (read_frame(same).progressive, read_frame(sequential).progressive) == (True, False)
    for one, other in zip(coefficients(same)[0], coefficients(sequential)[0], strict=True):
        np.testing.assert_array_equal(one, other)


# --- what goes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", Obscure)
@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hidden_has_no_influence(kind, quality, way):
    """Two pictures that differ only where the mask hides give the same file: nothing rings on in any block."""
    one = photo(113, 161)
    data = encoded(one, kind, quality)
    mask = mask_over(data, FACE, PLATE, CORNER, way=way)
    other = one.copy()
    hidden = mask.coverage()
    other[hidden] = np.random.default_rng(1).integers(0, 256, (hidden.sum(), 3), np.uint8)
    different = encoded(other, kind, quality)
    assert coefficients(different)[0][0].tobytes() != coefficients(data)[0][0].tobytes()
    assert patched(data, mask) == patched(different, mask)


@pytest.mark.parametrize("way", Obscure)
@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_looks_as_in_the_composite(kind, way):
    data = encoded(photo(144, 208), kind, 95)
    mask = mask_over(data, FACE, PLATE, way=way)
    _, hidden = reached(data, mask)
    expected = composite_of(data, mask).raster.pixels.astype(int)
    shown = decode(inspect(patched(data, mask), LIMITS)).pixels.astype(int)
    error = np.abs(shown - expected)
    assert error[hidden].mean() < 3
    assert error[cv2.erode(hidden.astype(np.uint8), np.ones((33, 33))) > 0].max(initial=0) < 24


def test_no_seam_shows_beside_the_mask():
    """Where a smooth picture is filled in beside the mask, it stays as smooth as it was; the feather is as it was."""
    y, x = np.mgrid[0:160, 0:240]
    smooth = np.dstack([20 + x / 4, 70 - y / 4, 40 + (x + y) / 8]).astype(np.uint8)
    data = encoded(smooth, "4:2:0", 95)
    mask = mask_over(data, EllipseOutline(100.5, 80.5, 30, 37), BoxOutline((161, 53, 203, 71)))
    touched, hidden = reached(data, mask)
    error = np.abs(pixels_of(patched(data, mask)).astype(int) - composite_of(data, mask).raster.pixels)
    assert error[~touched].max() <= 12
    assert error[~touched].mean() < 0.3
    assert error[touched & ~hidden].mean() < 2


def test_an_excluded_area_stays_where_no_block_is_shared():
    data = encoded(photo(160, 240), "4:2:0")
    left = Area.from_box(0, 0, 112, 160)
    mask = mask_over(data, EllipseOutline(112, 80, 50, 50), exclude=(left,))
    was, now = pixels_of(data), pixels_of(patched(data, mask))
    np.testing.assert_array_equal(now[:, :110], was[:, :110])
    assert (now != was)[:, 112:].any()


@pytest.mark.parametrize("kind", ["4:2:0", "4:4:4", "4:1:1", "gray"])
def test_masks_that_are_put_in_together_take_nothing_from_one_another(kind):
    """Dark and bright by turns, and masks at the borders: each looks as if there were no other."""
    pixels = photo(96, 640) // 8
    pixels[:, 160:320] += 200
    pixels[:, 480:] += 200
    data = encoded(pixels, kind)
    outlines = [BoxOutline((x, y, x + 31, y + 30)) for x, y in ((3, 50), (70, 18), (220, 18), (380, 18), (605, 18))]
    together = pixels_of(patched(data, mask_over(data, *outlines, way=Obscure.FILL))).astype(int)
    for outline in outlines:
        alone = mask_over(data, outline, way=Obscure.FILL)
        touched, _ = reached(data, alone)
        assert np.abs(together - pixels_of(patched(data, alone)))[touched].max() <= 4


def test_masks_over_more_than_a_job_and_over_everything():
    data = encoded(photo(700, 1300), "4:2:0")
    for outlines in (
        (EllipseOutline(650, 350, 400, 300),),
        (BoxOutline((-9, -9, 1400, 800)),),
        tuple(BoxOutline((x, x / 2, x + 31, x / 2 + 17)) for x in range(0, 1200, 37)),
    ):
        mask = mask_over(data, *outlines)
        out = patched(data, mask)
        assert_only_masked_blocks_differ(data, out, mask)
        _, hidden = reached(data, mask)
        expected = composite_of(data, mask).raster.pixels
        assert np.abs(pixels_of(out)[hidden].astype(int) - expected[hidden]).mean() < 2


# --- metadata, and what is not patched ----------------------------------------------------------------------------


def test_nothing_comes_along_but_the_whitelist():
    data = leaky_jpeg(photo(96, 128))
    out = patched(data, mask_over(data, BoxOutline((30, 40, 70, 60))))
    for needle in (LEAK, b"MPF\0", b"8BIM", b"JFXX", b"ftyp", b"MakerNote"):
        assert needle not in out
    with Image.open(io.BytesIO(out)) as image:
        assert dict(image.getexif()) == {0x0112: 6}
        assert image.info["icc_profile"]


@pytest.mark.parametrize("kind", ["RGB", "CMYK", "CMYK plain", "YCCK"])
def test_readers_take_the_colors_for_what_they_were(kind):
    data = encoded(photo(64, 64), kind)
    out = patched(data, mask_over(data, BoxOutline((40, 40, 56, 56))))
    np.testing.assert_array_equal(pixels_of(out)[:30, :30], pixels_of(data)[:30, :30])
    assert (b"Adobe" in out) == (kind != "CMYK plain")
    assert b"JFIF" not in out


def turned(blocks, orientation):
    """What a block says of the picture seen upright, for `blocks` (rows, columns, 64) of the picture as stored."""
    rows, columns, _ = blocks.shape
    grid = np.array(upright_view(blocks, orientation)).reshape(-1, 8, 8)
    odd = np.where(np.arange(8) % 2, -1, 1)
    if orientation in (5, 6, 7, 8):
        rows, columns = columns, rows
        grid = grid.transpose(0, 2, 1)
    if orientation in (3, 4, 7, 8):
        grid = grid * odd[:, None]
    if orientation in (2, 3, 6, 7):
        grid = grid * odd
    return grid.reshape(rows, columns, 64)


# Lying down, 4:1:1 becomes something that libturbojpeg does not know.
TURNED = [(kind, o) for kind in KINDS for o in range(2, 9) if kind not in INKS and (kind != "4:1:1" or o < 5)]


@pytest.mark.parametrize(("kind", "orientation"), TURNED)
def test_a_picture_is_stored_upright_without_another_coefficient_beside_the_mask(kind, orientation):
    data = encoded(photo(128, 192), kind, orientation=orientation)
    source = inspect(data, LIMITS)
    assert turns_whole(source)
    mask = mask_over(data, BoxOutline((37, 42, 64, 57)))
    over = cover(store_upright(decode(source)), mask, SECRET)
    out = patch(over, source, LIBRARY)
    assert out is not None
    verify(out, ImageFormat.JPEG, over)
    assert inspect(out, LIMITS).orientation == 1
    assert (b"\xff\xc2" in out) == (b"\xff\xc2" in data)
    for before, after in zip(coefficients(data)[0], coefficients(out)[0], strict=True):
        changed = (turned(before, orientation) != after).any(axis=2)
        assert changed.any()
        height, width = (mask.height // after.shape[0], mask.width // after.shape[1])
        rows, columns = np.nonzero(changed)
        x1, y1, x2, y2 = over.windows[0]
        assert ((columns + 1) * width > x1).all()
        assert (columns * width < x2).all()
        assert ((rows + 1) * height > y1).all()
        assert (rows * height < y2).all()
    shown, whole = pixels_of(out).astype(int), store_upright(decode(source)).pixels
    assert np.abs(shown - whole)[y2 + 34 :].max() <= 3


def test_a_picture_with_a_cut_mcu_or_inks_is_not_turned():
    for kind, width in (("4:2:0", 120), ("CMYK", 128)):
        source = inspect(encoded(photo(80, width), kind, orientation=3), LIMITS)
        over = cover(store_upright(decode(source)), mask_over(source.data, BoxOutline((30, 40, 70, 60))), SECRET)
        assert not turns_whole(source)
        assert patch(over, source, LIBRARY) is None
    source = inspect(encoded(photo(64, 128), "4:1:1", orientation=6), LIMITS)
    over = cover(store_upright(decode(source)), mask_over(source.data, BoxOutline((30, 40, 60, 60))), SECRET)
    assert patch(over, source, LIBRARY) is None


def test_a_sampling_without_whole_pixels_is_not_patched_but_encoded():
    data = bytearray(encoded(photo(96, 96), "4:4:4"))
    at = data.index(b"\xff\xc0") + 11
    assert data[at] == 0x11
    for i, factors in enumerate((0x31, 0x21, 0x11)):
        data[at + 3 * i] = factors
    whole = bytes(data)
    composite = obscure(decode(inspect(encoded(photo(96, 96), "4:4:4"), LIMITS)), mask_over(whole, FACE), SECRET)
    assert patch(composite, inspect(whole, LIMITS), LIBRARY) is None
    assert encode(composite, ImageFormat.JPEG, 90)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_damaged_data_is_refused(cut):
    data = encoded(photo(112, 160), "4:2:0")
    composite = composite_of(data, mask_over(data, FACE))
    at = data.index(b"\xff\xda") + int((len(data) - data.index(b"\xff\xda")) * cut)
    damaged = inspect(data[:at] + b"\xff\xd9", LIMITS)
    with pytest.raises(CorruptImage):
        patch(composite, damaged, LIBRARY)


def test_equal_input_gives_equal_bytes():
    data = encoded(photo(112, 160), "4:2:0")
    mask = mask_over(data, FACE, PLATE)
    assert patched(data, mask) == patched(data, mask)
