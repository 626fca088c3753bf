"""Transform, infill, overlay and turning: each against what is known to be right."""

import numpy as np
import pytest
from scipy.fft import dctn

from service.imaging import cells
from service.imaging.dct import halved_samples, quantized, samples
from service.imaging.infill import filled
from service.imaging.masking import Mask, Region
from service.imaging.obscuring import obscure
from service.imaging.outlines import BoxOutline, EllipseOutline
from service.imaging.overlay import Overlay, lay
from service.imaging.raster import ColorModel, Raster, upright_view
from service.imaging.turning import to_stored, to_upright
from service.policy import Obscure

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 500])
def test_the_transform_is_that_of_scipy(count):
    blocks = RANDOM.uniform(-128, 127, (count, 8, 8)).astype(np.float32)
    steps = RANDOM.integers(1, 60, 64).astype(np.float32)
    expected = np.rint(dctn(blocks, axes=(1, 2), norm="ortho").reshape(-1, 64) / steps) if count else np.empty((0, 64))
    coefficients = quantized(blocks, steps)
    assert np.abs(coefficients - expected).max(initial=0) <= 1
    assert (coefficients != expected).mean() < 0.001 if count else True
    fine = samples(quantized(blocks, np.ones(64, np.float32)), np.ones(64, np.float32))
    assert np.abs(fine - blocks).max(initial=0) < 4


def test_coefficients_stay_where_huffman_codes_reach():
    extremes = np.sign(RANDOM.normal(size=(200, 8, 8))).astype(np.float32) * 400
    found = quantized(np.concatenate([extremes, np.full((1, 8, 8), -400, np.float32)]), np.ones(64, np.float32))
    assert found[:, 1:].min() >= -1023
    assert found[:, 1:].max() <= 1023
    assert found[-1, 0] == -1024


def test_halved_samples_are_means_of_the_samples():
    coefficients = RANDOM.integers(-60, 60, (40, 64)).astype(np.int16)
    steps = RANDOM.integers(1, 30, 64).astype(np.float32)
    means = samples(coefficients, steps).reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(halved_samples(coefficients, steps), means, atol=0.01)


def test_what_unknown_blocks_held_has_no_influence():
    means = RANDOM.normal(0, 40, (40, 60)).astype(np.float32)
    known = RANDOM.random((10, 15)) > 0.4
    other = means.copy()
    hidden = ~known.repeat(4, 0).repeat(4, 1)
    other[hidden] = RANDOM.normal(0, 1000, hidden.sum())
    np.testing.assert_array_equal(filled(means, known, ~known), filled(other, known, ~known))


def test_a_gradient_is_continued_and_nothing_becomes_nothing():
    y, x = np.mgrid[0:96, 0:96].astype(np.float32)
    slope, known = x * 0.5 - y * 0.25, np.ones((12, 12), bool)
    known[5:7, 4:8] = False
    shown = slope.reshape(12, 8, 12, 8).swapaxes(1, 2)[~known]
    assert np.abs(filled(slope.reshape(48, 2, 48, 2).mean(axis=(1, 3)), known, ~known) - shown).max() < 4
    nothing = np.zeros((2, 2), bool)
    assert not filled(np.full((8, 8), 9, np.float32), nothing, ~nothing).any()


@pytest.mark.parametrize("way", Obscure)
@pytest.mark.parametrize("color", ColorModel)
def test_overlay_and_picture_give_the_composite(color, way):
    pixels = RANDOM.integers(0, 256, (150, 190, color.channels), np.uint8)
    outlines = (EllipseOutline(60, 50, 30, 38), EllipseOutline(80.5, 60, 20, 25), BoxOutline((100, 60, 170, 80)))
    regions = tuple(Region("face", each, way, 1.0, 4) for each in outlines)
    composite = obscure(Raster(pixels.copy(), color, False), Mask(regions, (), 190, 150), b"secret")
    for window in ((0, 0, 190, 150), (40, 30, 110, 90), (185, 0, 190, 5)):
        x1, y1, x2, y2 = window
        shape = y2 - y1, x2 - x1
        over = Overlay(np.zeros((color.channels + 1, *shape), np.float32), np.zeros(shape, np.bool_))
        lay(over, composite, window)
        paint = np.moveaxis(over.paint, 0, 2)
        shown = paint[:, :, :-1] + (1 - paint[:, :, -1:]) * pixels[y1:y2, x1:x2]
        assert np.abs(shown - composite.raster.pixels[y1:y2, x1:x2]).max() < 2
        np.testing.assert_array_equal(over.hidden, composite.mask.hidden(window))
        assert (over.paint[-1][over.hidden] == pytest.approx(1)) if over.hidden.any() else True


@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_turn_with_the_pixels(orientation):
    stored = np.arange(7 * 11).reshape(7, 11, 1).astype(np.uint16)
    upright = upright_view(stored, orientation)
    back = {6: 8, 8: 6}.get(orientation, orientation)
    np.testing.assert_array_equal(upright_view(upright, back), stored)
    height, width = upright.shape[:2]
    window = (2, 3, 9, 5)
    turned = to_upright(window, orientation, width, height)
    x1, y1, x2, y2 = turned
    part = upright_view(upright[y1:y2, x1:x2], back)
    np.testing.assert_array_equal(part, stored[3:5, 2:9])
    assert to_stored(turned, orientation, width, height) == window


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("size", [(40, 50), (97, 61), (640, 512)])
def test_a_part_is_that_of_the_whole(size, smooth, monkeypatch):
    cells_of_picture = RANDOM.integers(0, 256, (6, 5, 3), np.uint8)
    whole = cells.enlarge(cells_of_picture, size, smooth=smooth).astype(int)
    for limit in (0, 10**9):
        monkeypatch.setattr(cells, "ENLARGED_WHOLE", limit)
        for x1, y1, x2, y2 in ((0, 0, *size), (7, 11, 29, 37), (size[0] - 1, size[1] - 1, *size)):
            part = cells.enlarge_part(cells_of_picture, size, (x1, y1, x2, y2), smooth=smooth)
            assert np.abs(part - whole[y1:y2, x1:x2]).max() <= 1
