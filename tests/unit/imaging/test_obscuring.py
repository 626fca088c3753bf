"""What is behind a mask is gone, what is beside it is untouched, in every color model."""

import time

import numpy as np
import pytest

from service.imaging.cells import MIN_CELL, grid
from service.imaging.detections import Detections
from service.imaging.layers import Cover, cover
from service.imaging.masking import CELLS, Mask, Region, build_mask
from service.imaging.obscuring import Composite, obscure
from service.imaging.outlines import BoxOutline, EllipseOutline
from service.imaging.raster import ColorModel, Raster, upright_view
from service.imaging.surroundings import UNIT, surroundings
from service.policy import Area, ClassPolicy, Obscure, Policy, Shape

SECRET = b"a secret of this test"
W, H = 160, 120
KINDS = [
    (ColorModel.GRAY, False, np.uint8),
    (ColorModel.GRAY, True, np.uint16),
    (ColorModel.RGB, False, np.uint8),
    (ColorModel.RGB, True, np.uint8),
    (ColorModel.RGB, False, np.uint16),
    (ColorModel.RGB, True, np.uint16),
    (ColorModel.CMYK, False, np.uint8),
    (ColorModel.CMYK, True, np.uint8),
    (ColorModel.CMYK, False, np.uint16),
]
FACE = EllipseOutline(60, 50, 22, 28)
PLATE = BoxOutline((80, 60, 140, 80))


def noise(channels, dtype, seed=0, shape=(H, W)):
    """Pixels at random, every value possible."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (*shape, channels), dtype, endpoint=True)


def region(outline, obscure=Obscure.BLUR, strength=1.0):
    return Region("face", outline, obscure, strength, CELLS)


def mask_of(*regions, width=W, height=H):
    return Mask(tuple(regions), (), width, height)


def result(pixels, color, mask, *, alpha=False, secret=SECRET):
    """The pixels of `pixels` after `mask`; `pixels` are left alone."""
    return obscure(Raster(pixels.copy(), color, alpha), mask, secret).raster.pixels


@pytest.mark.parametrize("way", Obscure)
@pytest.mark.parametrize(("color", "alpha", "dtype"), KINDS)
def test_pixels_that_the_mask_does_not_touch_are_bit_identical(color, alpha, dtype, way):
    before = noise(color.channels + alpha, dtype)
    mask = mask_of(region(FACE, way), region(PLATE, way))
    composite = obscure(Raster(before.copy(), color, alpha), mask, SECRET)
    weight = np.zeros((H, W), np.float32)
    for r in mask.regions:
        x1, y1, x2, y2 = mask.window(r)
        weight[y1:y2, x1:x2] = np.maximum(weight[y1:y2, x1:x2], mask.alpha(r, (x1, y1, x2, y2)))
    after = composite.raster.pixels
    assert after.dtype == dtype
    assert np.array_equal(after[weight == 0], before[weight == 0])
    assert (after[weight == 1] != before[weight == 1]).any(axis=1).mean() > 0.95
    assert composite.windows == tuple(sorted(mask.window(r) for r in mask.regions))


def differing_in(core, before, seed=1):
    """`before` with other pixels wherever `core` (H, W) is set, alpha too."""
    return np.where(core[:, :, None], noise(before.shape[2], before.dtype, seed=seed, shape=before.shape[:2]), before)


@pytest.mark.parametrize("way", Obscure)
@pytest.mark.parametrize(("color", "alpha", "dtype"), KINDS)
def test_what_is_hidden_makes_no_difference(color, alpha, dtype, way):
    # One that lies over others, one beside them whose feather reaches theirs, and one cut by the border.
    others = (BoxOutline((70, 60, 90, 90)), EllipseOutline(30, 95, 12, 12), BoxOutline((143, -9, 170, 30)))
    mask = mask_of(region(FACE, way), region(PLATE, Obscure.BLUR), *(region(each, way) for each in others))
    core = mask.coverage()
    one = noise(color.channels + alpha, dtype)
    other = differing_in(core, one)
    assert (one[core] != other[core]).any(axis=1).mean() > 0.98
    assert np.array_equal(result(one, color, mask, alpha=alpha), result(other, color, mask, alpha=alpha))


@pytest.mark.parametrize("way", Obscure)
def test_a_pixel_beside_the_core_does_make_a_difference(way):
    # The control of the test above: it compares what can differ.
    mask = mask_of(region(FACE, way))
    one = noise(3, np.uint8)
    other = differing_in(~mask.coverage(), one)
    assert not np.array_equal(result(one, ColorModel.RGB, mask), result(other, ColorModel.RGB, mask))


def test_fill_is_flat_whatever_lies_over_it():
    mask = mask_of(
        region(FACE, Obscure.FILL), region(PLATE, Obscure.BLUR), region(BoxOutline((70, 60, 90, 90)), Obscure.FILL)
    )
    core = mask_of(mask.regions[0], mask.regions[2]).coverage()
    assert len(np.unique(result(noise(3, np.uint8), ColorModel.RGB, mask)[core], axis=0)) == 1


def test_fill_is_mid_gray_in_every_color_model():
    mask = mask_of(region(PLATE, Obscure.FILL))

    def filled(color, dtype=np.uint8, alpha=False):
        return result(noise(color.channels + alpha, dtype), color, mask, alpha=alpha)[70, 100].tolist()

    assert filled(ColorModel.RGB) == [128, 128, 128]
    assert filled(ColorModel.GRAY, np.uint16) == [128 * 257]
    assert filled(ColorModel.CMYK) == [0, 0, 0, 127]
    assert filled(ColorModel.RGB, alpha=True) == [128, 128, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_looks_the_same_whichever_way_it_is_stored(orientation):
    # Sides of whole squares of the file's grid, which lies from the other corner otherwise.
    upright = noise(3, np.uint8, shape=(4 * UNIT, 5 * UNIT))
    # upright_view of the inverse orientation stores it turned: 6 and 8 undo each other, the others undo themselves.
    stored = np.array(upright_view(upright, {6: 8, 8: 6}.get(orientation, orientation)), order="C")
    mask = mask_of(region(FACE), region(PLATE), width=5 * UNIT, height=4 * UNIT)
    turned = obscure(Raster(stored, ColorModel.RGB, alpha=False, orientation=orientation), mask, SECRET).raster.upright
    changed = (turned != upright).any(axis=2)
    expected = result(upright, ColorModel.RGB, mask)
    assert np.array_equal(turned[~changed], expected[~changed])
    # But for places in the coarse picture of colors, which OpenCV rounds to 1/32 of a square.
    assert np.abs(turned[changed].astype(int) - expected[changed]).max() <= 255 / 32


def test_the_noise_is_the_same_each_time_and_nobody_s_without_the_secret():
    pixels, mask = noise(3, np.uint8), mask_of(region(FACE))
    one = result(pixels, ColorModel.RGB, mask)
    assert np.array_equal(one, result(pixels, ColorModel.RGB, mask))
    assert not np.array_equal(one, result(pixels, ColorModel.RGB, mask, secret=b"another"))


def test_the_noise_has_the_strength_that_the_code_says():
    flat = np.full((60, 60, 3), 128, np.uint8)
    r = region(BoxOutline((5, 5, 55, 55)), Obscure.PIXELATE)
    shown = np.array(
        [result(flat, ColorModel.RGB, mask_of(r, width=60, height=60), secret=bytes([i]))[15, 15] for i in range(250)]
    ).astype(float)
    luma = shown @ [0.299, 0.587, 0.114]
    assert luma.std() == pytest.approx(30, rel=0.15)
    assert (shown[:, 0] - luma).std() == pytest.approx(4 * 1.402, rel=0.2)


def pitch(r, width=4096, height=4096):
    """Side of the cells of `r`, which must be squares."""
    cells = grid(r, width, height)
    x1, y1, x2, y2 = cells.window
    assert (x2 - x1) / cells.columns == (y2 - y1) / cells.rows
    return (x2 - x1) // cells.columns


def test_cells_follow_the_object_and_never_get_small():
    assert pitch(region(EllipseOutline(1000, 1000, 350, 400))) == 512
    assert pitch(region(BoxOutline((100, 100, 620, 210)))) == 256
    assert pitch(region(BoxOutline((100, 100, 300, 120)))) == 64
    for side in range(1, 40):
        assert pitch(region(EllipseOutline(500, 500, side / 2, side / 2))) >= max(MIN_CELL, side / 2)
    # Cut by the border, and not finer for that.
    assert pitch(region(EllipseOutline(0, 500, 350, 400))) == 512


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (130, 90), (1000, 1000)])
def test_no_cell_is_smaller_than_the_lattice_s_at_any_border(size):
    width, height = size
    for x, y in ((0, 0), (width, height), (width, 0), (width - 20, height / 2)):
        cells = grid(region(EllipseOutline(x, y, 30, 30)), width, height)
        x1, y1, x2, y2 = cells.window
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert (x2 - x1) / cells.columns >= min(64, width)
        assert (y2 - y1) / cells.rows >= min(64, height)


def test_other_options_show_the_same_cells_again():
    # Wherever the box lies a little differently, the cells in the middle are the same ones with the same noise.
    pixels = np.full((512, 512, 3), 90, np.uint8)
    seen = set()
    for grown in np.linspace(0, 14, 29):
        outline = EllipseOutline(250 + grown / 3, 260 - grown / 4, 60 + grown, 70 + grown)
        mask = mask_of(region(outline, Obscure.PIXELATE), width=512, height=512)
        seen.add(result(pixels, ColorModel.RGB, mask)[256 + 64, 256 + 64].tobytes())
    assert len(seen) == 1


def test_strength_leaves_the_noise_as_it_is():
    # A step of the lattice more is coarser; less than a step is nothing.
    flat = np.full((H, W, 3), 128, np.uint8)
    plate = BoxOutline((80, 60, 130, 80))
    weak, strong = (
        result(flat, ColorModel.RGB, mask_of(region(plate, Obscure.PIXELATE, strength))) for strength in (1.0, 1.1)
    )
    assert (weak[60:80, 80:130] != 128).any()
    assert np.array_equal(weak, strong)


def colors_of(pixels, *windows, at=None, orientation=1):
    """What is seen around `windows` over the cell `at`, the first of them otherwise: (4,) float32."""
    raster = Raster(pixels, ColorModel.RGB, alpha=False, orientation=orientation)
    return surroundings(raster, windows).over(at or windows[0], 1, 1)[0, 0]


def test_a_mask_takes_the_color_that_can_be_seen_beside_it():
    pixels = np.full((H, W, 3), (200, 40, 40), np.uint8)
    plate = region(BoxOutline((80, 60, 130, 80)))
    x1, y1, x2, y2 = mask_of(plate).window(plate)
    pixels[y1:y2, x1:x2] = noise(3, np.uint8, seed=3)[y1:y2, x1:x2]
    many = [result(pixels, ColorModel.RGB, mask_of(plate), secret=bytes([i]))[70, 105] for i in range(60)]
    # Noise of 30 on 60 samples; at 200 some of it is cut off at 255.
    assert np.abs(np.mean(many, axis=0) - np.array([200, 40, 40])).max() < 12


def test_the_color_goes_from_one_side_of_a_mask_to_the_other():
    pixels = np.zeros((512, 512, 3), np.uint8)
    pixels[:, 256:] = 240
    raster = Raster(pixels, ColorModel.RGB, alpha=False)
    row = surroundings(raster, [(128, 128, 384, 384)]).over((128, 128, 384, 384), 8, 8)[4, :, 0]
    assert row[0] < 40
    assert row[-1] > 200
    assert (np.diff(row) >= 0).all()
    assert 60 < row[3] < row[4] < 180


def test_what_any_mask_may_change_takes_no_part_in_a_color():
    one = noise(3, np.uint8, shape=(256, 256))
    hidden = [(64, 64, 120, 120), (123, 70, 140, 90)]
    for window in hidden:
        other = one.copy()
        # With the whole squares of the file's grid, of which a decoder makes pixels together.
        x1, y1, x2, y2 = (edge // UNIT * UNIT for edge in window[:2] + tuple(e + UNIT - 1 for e in window[2:]))
        other[y1:y2, x1:x2] = 0
        for at in hidden:
            assert np.array_equal(colors_of(one, *hidden, at=at), colors_of(other, *hidden, at=at))
        other[y1 - UNIT : y1] = 0
        assert not np.array_equal(colors_of(one, *hidden), colors_of(other, *hidden))


def test_where_nothing_can_be_seen_beside_it_a_mask_is_gray():
    gray = [128, 128, 128, 255]
    assert colors_of(noise(3, np.uint8), (0, 0, W, H)).tolist() == gray
    assert colors_of(noise(3, np.uint8), (20, 20, 60, 60), (0, 0, W, H)).tolist() == gray
    assert colors_of(noise(3, np.uint8, shape=(5, 7)), (1, 1, 2, 2)).tolist() == gray


@pytest.mark.parametrize("orientation", range(1, 9))
def test_colors_are_where_they_are_seen_however_the_picture_is_stored(orientation):
    upright = np.full((256, 512, 3), 50, np.uint8)
    upright[:, 256:] = 200
    stored = np.array(upright_view(upright, {6: 8, 8: 6}.get(orientation, orientation)), order="C")
    left, right = (64, 64, 128, 128), (384, 64, 448, 128)
    assert colors_of(stored, left, right, at=left, orientation=orientation)[0] == 50
    assert colors_of(stored, left, right, at=right, orientation=orientation)[0] == 200


def test_a_transparent_picture_hides_nothing_under_its_alpha_and_shows_no_outline_in_it():
    pixels = noise(4, np.uint8)
    pixels[:, :, 3] = 0
    pixels[40:70, 50:70, 3] = 255
    mask = mask_of(region(FACE))
    core = mask.coverage()
    after = result(pixels, ColorModel.RGB, mask, alpha=True)
    assert (after[core][:, :3] != pixels[core][:, :3]).any(axis=1).mean() > 0.95
    assert len(np.unique(after[core][:, 3])) == 1
    opaque = noise(4, np.uint8)
    opaque[:, :, 3] = 255
    assert (result(opaque, ColorModel.RGB, mask, alpha=True)[:, :, 3] == 255).all()


@pytest.mark.parametrize("way", Obscure)
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (7, 40)])
def test_the_smallest_pictures_and_regions_work(size, way):
    width, height = size
    mask = build_mask(
        Detections(
            np.array([[0, 0, 1, 1]], np.float32),
            np.ones(1, np.float32),
            *(np.zeros(1, np.int32),) * 2,
            ("face",),
            ("m/1",),
        ),
        Policy(
            classes=(ClassPolicy(name="face", threshold=0.5, margin=0, shape=Shape.ELLIPSE, obscure=way),),
            regions=(Area.from_box(-50, -50, -10, -10),),
        ),
        width,
        height,
    )
    before = noise(3, np.uint8, shape=(height, width))
    composite = obscure(Raster(before.copy(), ColorModel.RGB, alpha=False), mask, SECRET)
    assert composite.raster.pixels.shape == before.shape
    assert len(composite.windows) == 1


def test_without_regions_the_picture_is_as_it_was():
    before = noise(3, np.uint8)
    composite = obscure(Raster(before.copy(), ColorModel.RGB, alpha=False), mask_of(), SECRET)
    assert np.array_equal(composite.raster.pixels, before)
    assert composite.windows == ()


def test_a_cover_leaves_the_picture_alone_and_keeps_nothing_of_it():
    before = noise(3, np.uint8)
    raster = Raster(before.copy(), ColorModel.RGB, alpha=False)
    over = cover(raster, mask_of(region(FACE)), SECRET)
    assert np.array_equal(raster.pixels, before)
    assert not over.raster.pixels.any()
    assert over.raster.pixels.strides == (0, 0, 0)
    composite = obscure(raster, mask_of(region(FACE)), SECRET)
    assert over.windows == composite.windows
    assert all(np.array_equal(a.cells, b.cells) for a, b in zip(over.layers, composite.layers, strict=True))


def test_misuse_is_refused():
    raster = Raster(noise(3, np.uint8), ColorModel.RGB, alpha=False)
    with pytest.raises(ValueError, match="another size"):
        obscure(raster, mask_of(width=10), SECRET)
    with pytest.raises(ValueError, match="secret"):
        obscure(raster, mask_of(region(FACE)), b"")
    for sealed in (Cover, Composite):
        with pytest.raises(TypeError, match=f"make a {sealed.__name__}"):
            sealed(raster, mask_of(), (), object())  # type: ignore[arg-type]
    raster.pixels.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        obscure(raster, mask_of(region(FACE)), SECRET)


def test_a_large_region_and_many_small_ones_are_quick():
    pixels = noise(3, np.uint8, shape=(2400, 2400))
    large = mask_of(region(EllipseOutline(1200, 1200, 435, 435)), width=2400, height=2400)
    outlines = [EllipseOutline(x, y, 14, 17) for x in range(100, 2100, 200) for y in range(100, 2100, 200)]
    small = mask_of(*map(region, outlines), width=2400, height=2400)
    for mask in (large, small):
        spent = []
        for _ in range(5):
            started = time.process_time()
            obscure(Raster(pixels, ColorModel.RGB, alpha=False), mask, SECRET)
            spent.append(time.process_time() - started)
        # About 15 and 50 ms; the bound is for machines that are slower or busy.
        assert min(spent) < 0.25
