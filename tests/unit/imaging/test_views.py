"""Tiles: what is planned, what they show, where their boxes lie in the picture."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from service.imaging.raster import ColorModel, Raster, upright_view
from service.imaging.views import DOUBLED, PAD, Pyramid, View, plan_close_ups, plan_views, to_picture
from service.policy import Effort

RNG = np.random.default_rng(7)


def rgb(height, width):
    return Raster(RNG.integers(0, 256, (height, width, 3), np.uint8), ColorModel.RGB, alpha=False)


def views(raster, effort=Effort.THOROUGH, tile=64, overlap=16):
    return plan_views(raster.width, raster.height, tile_width=tile, tile_height=tile, overlap=overlap, effort=effort)


def levels(width, height, effort, tile=640):
    planned = plan_views(width, height, tile_width=tile, tile_height=tile, overlap=96, effort=effort)
    return sorted({v.level for v in planned})


@pytest.mark.parametrize(
    ("width", "height", "effort", "expected"),
    [
        (4000, 3000, Effort.FAST, [1, 2, 3]),
        (4000, 3000, Effort.BALANCED, [0, 1, 2, 3]),
        (4000, 3000, Effort.THOROUGH, [-1, 0, 1, 2, 3]),
        (1920, 1080, Effort.BALANCED, [-1, 0, 1, 2]),
        (640, 640, Effort.FAST, [0]),
        (641, 640, Effort.FAST, [1]),
        (320, 200, Effort.BALANCED, [-1, 0]),
        (12288, 6144, Effort.FAST, [1, 2, 3, 4, 5]),
    ],
)
def test_effort_chooses_the_levels(width, height, effort, expected):
    assert levels(width, height, effort) == expected


def test_the_last_level_shows_the_whole_picture_in_one_tile():
    planned = plan_views(4000, 3000, tile_width=640, tile_height=512, overlap=96, effort=Effort.BALANCED)
    last = planned[-1]
    assert [v.level for v in planned].count(last.level) == 1
    assert last.level_size == (500, 375)


@pytest.mark.parametrize(("width", "height"), [(4000, 3000), (641, 20), (640, 640), (3, 1), (5121, 9)])
def test_close_ups_show_the_whole_picture_smaller_and_smaller(width, height):
    planned = plan_views(width, height, tile_width=640, tile_height=640, overlap=96, effort=Effort.FAST)
    close = plan_close_ups(width, height, tile_width=640, tile_height=640, count=2)
    assert [view.level for view in close] == [planned[-1].level + 1, planned[-1].level + 2]
    assert [(view.x, view.y, view.width, view.height) for view in close] == [(0, 0, 320, 320), (0, 0, 160, 160)]
    assert all(side <= view.width for view in close for side in view.level_size)
    assert plan_close_ups(width, height, tile_width=640, tile_height=640, count=0) == ()


@pytest.mark.parametrize(("width", "height", "overlap"), [(0, 10, 16), (10, 10, 64), (10, 10, -1)])
def test_a_senseless_plan_is_refused(width, height, overlap):
    with pytest.raises(ValueError, match=r"overlap|empty"):
        plan_views(width, height, tile_width=64, tile_height=64, overlap=overlap, effort=Effort.FAST)


def test_full_resolution_tiles_are_the_pixels_themselves():
    raster = rgb(150, 201)
    pyramid = Pyramid(raster)
    for view in (v for v in views(raster) if v.level == 0):
        tile = np.rot90(pyramid.tile(view), -view.quarters)
        assert pyramid.tile(view).flags.c_contiguous
        assert np.array_equal(tile, raster.pixels[view.y : view.y + 64, view.x : view.x + 64])


def test_a_tile_is_a_copy_that_outlives_the_pixels():
    raster = rgb(64, 64)
    tile = Pyramid(raster).tile(View(0, 0, 0, 64, 64, 64, 64))
    before = tile.copy()
    raster.pixels[:] = 0
    assert np.array_equal(tile, before)


def test_a_small_picture_is_padded_and_not_stretched():
    raster = rgb(30, 41)
    tile = Pyramid(raster).tile(View(0, 0, 0, 64, 64, 41, 30))
    assert np.array_equal(tile[:30, :41], raster.pixels)
    assert (tile[30:] == PAD).all()
    assert (tile[:, 41:] == PAD).all()


def test_halved_levels_average_four_pixels_with_the_border_repeated():
    raster = rgb(131, 133)
    expected = np.pad(raster.pixels, ((0, 1), (0, 1), (0, 0)), "edge").astype(int)
    expected = (expected[::2, ::2] + expected[1::2, ::2] + expected[::2, 1::2] + expected[1::2, 1::2] + 2) >> 2
    pyramid = Pyramid(raster)
    for view in (v for v in views(raster) if v.level == 1):
        height, width = min(64, 66 - view.y), min(64, 67 - view.x)
        tile = np.rot90(pyramid.tile(view), -view.quarters)[:height, :width]
        assert np.array_equal(tile, expected[view.y : view.y + 64, view.x : view.x + 64])


def test_doubled_tiles_are_cut_from_the_doubled_picture():
    raster = rgb(75, 101)
    whole = cv2.resize(raster.pixels, (202, 150), interpolation=cv2.INTER_LINEAR)
    doubled = [v for v in views(raster) if v.level == DOUBLED]
    assert len(doubled) > 4
    for view in doubled:
        assert np.array_equal(Pyramid(raster).tile(view), whole[view.y : view.y + 64, view.x : view.x + 64])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_shows_the_same_upright_tiles(orientation):
    stored = RNG.integers(0, 256, (133, 171, 3), np.uint8)
    turned = Raster(stored, ColorModel.RGB, alpha=False, orientation=orientation)
    upright = Raster(np.ascontiguousarray(upright_view(stored, orientation)), ColorModel.RGB, alpha=False)
    one, other = Pyramid(turned), Pyramid(upright)
    planned = views(turned)
    assert {v.level for v in planned} == {-1, 0, 1, 2}
    for view in planned:
        assert np.array_equal(one.tile(view), other.tile(view)), view


@pytest.mark.parametrize("band", [1, 700, 10**9])
def test_the_size_of_bands_does_not_show(band, monkeypatch):
    raster = rgb(131, 133)
    expected = [Pyramid(raster).tile(v) for v in views(raster)]
    monkeypatch.setattr("service.imaging.views.BAND_PIXELS", band)
    turned = Raster(np.ascontiguousarray(raster.pixels[::-1]), ColorModel.RGB, alpha=False, orientation=4)
    pyramid = Pyramid(turned)
    assert all(np.array_equal(pyramid.tile(v), e) for v, e in zip(views(turned), expected, strict=True))


def test_color_models_come_out_as_rgb():
    view = View(0, 0, 0, 64, 64, 64, 64)

    def tile(pixels, color, *, alpha=False):
        return Pyramid(Raster(pixels, color, alpha)).tile(view)

    gray = RNG.integers(0, 256, (64, 64, 1), np.uint8)
    assert np.array_equal(tile(gray, ColorModel.GRAY), np.dstack([gray] * 3))
    deep = RNG.integers(0, 65536, (64, 64, 3), np.uint16)
    assert np.array_equal(tile(deep, ColorModel.RGB), deep // 256)
    hidden = np.dstack([RNG.integers(0, 256, (64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)])
    assert np.array_equal(tile(hidden, ColorModel.RGB, alpha=True), hidden[:, :, :3])
    ink = RNG.integers(0, 256, (64, 64, 4), np.uint8)
    light = (255.0 - ink[:, :, :3]) * (255.0 - ink[:, :, 3:]) / 255
    assert np.abs(tile(ink, ColorModel.CMYK) - light).max() <= 0.5


def test_boxes_return_to_where_their_object_is_on_every_level():
    # A ramp that rises by 2 per pixel tells by its value which place of the picture a tile's pixel shows.
    ramp = np.tile((np.arange(101) * 2).astype(np.uint8)[None, :, None], (99, 1, 3))
    raster = Raster(ramp, ColorModel.RGB, alpha=False)
    pyramid, compared = Pyramid(raster), set()
    for view in views(raster):
        tile = pyramid.tile(view)
        for x, y in ((4, 5), (11, 4), (21, 20), (40, 30)):
            box = to_picture(np.array([x, y, x + 1, y + 1], np.float32), view)
            center = (box[0] + box[2]) / 2
            whole = 1 / view.scale
            if (box[2:] - box[:2]).tolist() == [whole, whole] and 4 < center < 97:
                # Half a step: the mean of four values, or a value between two, is rounded.
                assert tile[y, x, 0] == pytest.approx((center - 0.5) * 2, abs=0.5)
                compared.add((view.level, view.quarters))
    assert compared == {(DOUBLED, 0), *((level, quarters) for level in (0, 1) for quarters in range(4))}


def test_boxes_are_clipped_and_those_in_padding_keep_no_area():
    view = View(1, 0, 0, 64, 64, 101, 61)
    boxes = np.array([[[-5, -5, 10, 10], [45, 25, 60, 40]], [[52, 10, 60, 20], [10, 33, 20, 60]]], np.float32)
    placed = to_picture(boxes, view)
    assert placed.dtype == np.float32
    assert placed[0].tolist() == [[0, 0, 20, 20], [90, 50, 101, 61]]
    width, height = placed[1, :, 2] - placed[1, :, 0], placed[1, :, 3] - placed[1, :, 1]
    assert (width * height).tolist() == [0, 0]


def test_a_view_of_another_picture_is_refused():
    with pytest.raises(ValueError, match="another size"):
        Pyramid(rgb(10, 10)).tile(View(0, 0, 0, 64, 64, 10, 11))


def test_threads_share_the_levels():
    raster = rgb(500, 700)
    planned = views(raster)
    expected = [Pyramid(raster).tile(v) for v in planned]
    pyramid = Pyramid(raster)
    with ThreadPoolExecutor(8) as pool:
        tiles = list(pool.map(pyramid.tile, planned))
    assert all(np.array_equal(a, b) for a, b in zip(tiles, expected, strict=True))


@pytest.mark.parametrize(("color", "dtype"), [(ColorModel.RGB, np.uint8), (ColorModel.CMYK, np.uint16)])
def test_a_twelve_megapixel_picture_needs_little_beside_itself(color, dtype):
    raster = Raster(np.zeros((3000, 4000, color.channels), dtype), color, alpha=False, orientation=6)
    tracemalloc.start()
    try:
        pyramid = Pyramid(raster)
        for view in views(raster, Effort.BALANCED, tile=640, overlap=96):
            pyramid.tile(view)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6


def test_a_thorough_search_turns_every_level_but_the_doubled_one():
    planned = plan_views(1000, 700, tile_width=96, tile_height=64, overlap=16, effort=Effort.THOROUGH)
    turned = {(v.level, v.quarters) for v in planned}
    assert turned == {(DOUBLED, 0), *((level, quarters) for level in range(5) for quarters in range(4))}
    for effort in (Effort.FAST, Effort.BALANCED):
        upright = plan_views(1000, 700, tile_width=96, tile_height=64, overlap=16, effort=effort)
        assert {v.quarters for v in upright} == {0}


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_tile_is_the_turned_window(quarters):
    raster = rgb(150, 201)
    tile = Pyramid(raster).tile(View(0, 40, 30, 64, 48, 201, 150, quarters=quarters))
    assert tile.flags.c_contiguous
    assert np.array_equal(tile, np.rot90(raster.pixels[30:78, 40:104], quarters))
