"""What is behind a mask is gone, what is beside it is untouched, in every color model."""

import time

import cv2
import numpy as np
import pytest

from service.imaging.cells import MIN_CELL, grid
from service.imaging.detections import Detections
from service.imaging.masking import CELLS, Mask, Region, build_mask
from service.imaging.obscuring import Composite, obscure
from service.imaging.outlines import BoxOutline, EllipseOutline
from service.imaging.raster import ColorModel, Raster, upright_view
from service.imaging.surroundings import surroundings
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
NO_OTHERS = np.empty((0, 4), np.int64)
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


@pytest.mark.parametrize(("color", "alpha", "dtype"), KINDS)
def test_fill_depends_on_nothing_that_it_hides(color, alpha, dtype):
    mask = mask_of(
        region(FACE, Obscure.FILL), region(PLATE, Obscure.BLUR), region(BoxOutline((70, 60, 90, 90)), Obscure.FILL)
    )
    core = mask_of(mask.regions[0], mask.regions[2]).coverage()
    one = noise(color.channels + alpha, dtype)
    other = np.where(core[:, :, None], noise(color.channels + alpha, dtype, seed=1), one)
    assert (one[core] != other[core]).any()
    filled = result(one, color, mask, alpha=alpha)
    assert np.array_equal(filled, result(other, color, mask, alpha=alpha))
    assert len(np.unique(filled[core], axis=0)) == 1


def test_fill_is_mid_gray_in_every_color_model():
    mask = mask_of(region(PLATE, Obscure.FILL))

    def filled(color, dtype=np.uint8, alpha=False):
        return result(noise(color.channels + alpha, dtype), color, mask, alpha=alpha)[70, 100].tolist()

    assert filled(ColorModel.RGB) == [128, 128, 128]
    assert filled(ColorModel.GRAY, np.uint16) == [128 * 257]
    assert filled(ColorModel.CMYK) == [0, 0, 0, 127]
    assert filled(ColorModel.RGB, alpha=True) == [128, 128, 128, 255]


def shuffled_in_cells(pixels, r):
    """`pixels` with the same means per cell: in each cell of `r` the pixels change places, beyond any resemblance."""
    cells = grid(r, W, H)
    x1, y1, x2, y2 = cells.window
    across, rest_x = divmod(x2 - x1, cells.columns)
    down, rest_y = divmod(y2 - y1, cells.rows)
    assert rest_x == rest_y == 0
    changed, rng = pixels.copy(), np.random.default_rng(5)
    for x in range(x1, x2, across):
        for y in range(y1, y2, down):
            cell = changed[y : y + down, x : x + across]
            cell[:] = rng.permutation(cell.reshape(-1, pixels.shape[2])).reshape(cell.shape)
    return changed


@pytest.mark.parametrize("way", [Obscure.BLUR, Obscure.PIXELATE])
@pytest.mark.parametrize(("color", "alpha", "dtype"), KINDS)
def test_pictures_with_the_same_cell_means_become_the_same_picture(color, alpha, dtype, way):
    # 32 pixels high with its feather, so cells of 16.
    r = region(BoxOutline((34, 34, 62, 62)), way)
    mask = mask_of(r)
    assert grid(r, W, H).window == (32, 32, 64, 64)
    one = noise(color.channels + alpha, dtype)
    other = shuffled_in_cells(one, r)
    core = mask.coverage()
    assert (one[core] != other[core]).any(axis=1).mean() > 0.9
    assert np.array_equal(result(one, color, mask, alpha=alpha)[core], result(other, color, mask, alpha=alpha)[core])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_looks_the_same_whichever_way_it_is_stored(orientation):
    upright = noise(3, np.uint8)
    # upright_view of the inverse orientation stores it turned: 6 and 8 undo each other, the others undo themselves.
    stored = np.array(upright_view(upright, {6: 8, 8: 6}.get(orientation, orientation)), order="C")
    mask = mask_of(region(FACE), region(PLATE))
    turned = obscure(Raster(stored, ColorModel.RGB, alpha=False, orientation=orientation), mask, SECRET)
    assert np.array_equal(turned.raster.upright, result(upright, ColorModel.RGB, mask))


def test_the_noise_is_the_same_each_time_and_nobody_s_without_the_secret():
    pixels, mask = noise(3, np.uint8), mask_of(region(FACE))
    one = result(pixels, ColorModel.RGB, mask)
    assert np.array_equal(one, result(pixels, ColorModel.RGB, mask))
    assert not np.array_equal(one, result(pixels, ColorModel.RGB, mask, secret=b"another"))


def test_another_content_gets_another_noise():
    # Else the difference of two requests would show the difference of what they hide, without any noise.
    mask = mask_of(region(PLATE, Obscure.PIXELATE))
    dark, light = (result(np.full((H, W, 1), v, np.uint8), ColorModel.GRAY, mask)[60:80, 80:140] for v in (96, 160))
    assert len(np.unique(light.astype(int) - dark)) > 2


def test_the_noise_has_the_strength_that_was_measured_safe():
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
    # Cut by the border, and not measured more finely for that.
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


def test_other_options_show_the_same_numbers_again():
    # Wherever the box lies a little differently, the cells in the middle are the same ones with the same noise.
    pixels = noise(3, np.uint8, shape=(512, 512))
    pixels = cv2.GaussianBlur(pixels, (0, 0), 9)
    # The same color beside all of them, as it is in what they show.
    pixels[~mask_of(region(EllipseOutline(250, 260, 50, 60)), width=512, height=512).coverage()] = 90
    seen = set()
    for grown in np.linspace(0, 14, 29):
        outline = EllipseOutline(250 + grown / 3, 260 - grown / 4, 60 + grown, 70 + grown)
        mask = mask_of(region(outline, Obscure.PIXELATE), width=512, height=512)
        seen.add(result(pixels, ColorModel.RGB, mask)[256 + 64, 256 + 64].tobytes())
    assert len(seen) == 1


def test_strength_leaves_the_noise_as_it_is():
    # Two results whose noise is the same but for a factor would show what is below it.
    flat = np.full((H, W, 3), 128, np.uint8)
    plate = BoxOutline((80, 60, 130, 80))
    weak, strong = (
        result(flat, ColorModel.RGB, mask_of(region(plate, Obscure.PIXELATE, strength))) for strength in (1.0, 1.1)
    )
    assert (weak[60:80, 80:130] != 128).any()
    assert np.array_equal(weak, strong)


def test_a_mask_takes_the_color_that_can_be_seen_beside_it():
    pixels = noise(3, np.uint8)
    plate = region(BoxOutline((80, 60, 130, 80)))
    x1, y1, x2, y2 = mask_of(plate).window(plate)
    pixels[y1 - 1 : y2 + 1, x1 - 1 : x2 + 1] = (200, 40, 40)
    pixels[y1:y2, x1:x2] = noise(3, np.uint8, seed=3)[y1:y2, x1:x2]
    many = [result(pixels, ColorModel.RGB, mask_of(plate), secret=bytes([i]))[70, 105] for i in range(60)]
    # An eighth of the mean of the noise, 128, and the luma noise of 30, on 60 samples.
    assert np.abs(np.mean(many, axis=0) - np.array([191, 51, 51])).max() < 16


def test_what_another_mask_hides_beside_one_takes_no_part_in_its_color():
    left, right = region(BoxOutline((20, 20, 60, 60))), region(BoxOutline((63, 30, 90, 50)))
    mask = mask_of(left, right)
    one = noise(3, np.uint8)
    # Beyond the cells of the left one, which are measured whole.
    other, window = one.copy(), mask.window(right)
    x1, y1, x2, y2 = window
    assert mask.window(left)[2] >= x1
    raster = Raster(one, ColorModel.RGB, alpha=False)
    other[y1:y2, x1:x2] = 0
    darker = Raster(other, ColorModel.RGB, alpha=False)
    beside = mask.window(left)
    assert np.array_equal(
        surroundings(raster, beside, np.array([window])), surroundings(darker, beside, np.array([window]))
    )
    assert not np.array_equal(surroundings(raster, beside, NO_OTHERS), surroundings(darker, beside, NO_OTHERS))


def test_where_nothing_can_be_seen_beside_it_a_mask_is_gray():
    raster = Raster(noise(3, np.uint8), ColorModel.RGB, alpha=False)
    assert surroundings(raster, (0, 0, W, H), NO_OTHERS).tolist() == [128, 128, 128]
    assert surroundings(raster, (20, 20, 60, 60), np.array([[10, 10, 70, 70]])).tolist() == [128, 128, 128]


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


def test_overlapping_regions_measure_what_is_composited_already():
    # A small region inside a large one sees only the large one's cells: the pixels below cannot matter.
    large, small = region(BoxOutline((66, 66, 94, 94))), region(EllipseOutline(78, 80, 4, 5), Obscure.PIXELATE)
    mask = mask_of(small, large)
    assert grid(large, W, H).window == mask.window(large)
    one = noise(3, np.uint8)
    other = shuffled_in_cells(one, large)
    core = mask_of(large).coverage()
    a, b = result(one, ColorModel.RGB, mask), result(other, ColorModel.RGB, mask)
    assert np.array_equal(a[core], b[core])
    assert not np.array_equal(a[core], result(one, ColorModel.RGB, mask_of(large))[core])


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


def test_misuse_is_refused():
    raster = Raster(noise(3, np.uint8), ColorModel.RGB, alpha=False)
    with pytest.raises(ValueError, match="another size"):
        obscure(raster, mask_of(width=10), SECRET)
    with pytest.raises(ValueError, match="secret"):
        obscure(raster, mask_of(region(FACE)), b"")
    with pytest.raises(TypeError, match="obscure"):
        Composite(raster, mask_of(), (), object())  # type: ignore[arg-type]
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
        # About 10 ms each; the bound is for machines that are slower or busy.
        assert min(spent) < 0.06
