"""Rasters whose rows come in from the top: who waits for what, and how a decoder's end reaches those who wait."""

from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import pytest

from service.errors import CorruptImage
from service.imaging.arrival import Arrival, Stopped, rows_needed, rows_to_plan
from service.imaging.codec import STRIP_ROWS, begin, decode
from service.imaging.formats import ImageFormat
from service.imaging.raster import ColorModel, Raster
from service.imaging.source import SourceLimits, inspect
from service.imaging.views import plan_views
from service.policy import Effort
from tests.images import with_pillow

LIMITS = SourceLimits(10_000_000, 10_000)


def blank(width: int = 40, height: int = 30, orientation: int = 1, gpano: bytes | None = None) -> Raster:
    pixels = np.zeros((height, width, 3), np.uint8)
    return Raster(pixels, ColorModel.RGB, alpha=False, orientation=orientation, gpano=gpano)


def test_who_waits_is_told_as_soon_as_the_rows_are_there() -> None:
    told: list[tuple[int, list[bool]]] = []
    waiting: list[Future[None]] = []

    def strips() -> Iterator[int]:
        for rows in (10, 20, 30):
            yield rows
            told.append((rows, [each.done() for each in waiting]))

    arrival = Arrival(blank(), strips())
    waiting += [arrival.reached(rows) for rows in (0, 1, 10, 11, 30)]
    assert [each.done() for each in waiting] == [True, False, False, False, False]
    arrival.decode()
    assert told == [
        (10, [True, True, True, False, False]),
        (20, [True, True, True, True, False]),
        (30, [True] * 5),
    ]
    assert arrival.reached(30).done()


def test_a_decoder_that_fails_fails_everybody_who_waits() -> None:
    def strips() -> Iterator[int]:
        yield 10
        raise CorruptImage(cause="bad")

    arrival = Arrival(blank(), strips())
    early, late = arrival.reached(10), arrival.reached(11)
    with pytest.raises(CorruptImage):
        arrival.decode()
    assert early.exception() is None
    assert isinstance(late.exception(), CorruptImage)
    assert isinstance(arrival.reached(1).exception(), CorruptImage), "no tile is cut from a broken picture"


def test_decoding_stops_at_the_next_strip() -> None:
    arrival = Arrival(blank(), iter((10, 20, 30)))
    arrival.stop()
    with pytest.raises(Stopped):
        arrival.decode()


def test_a_raster_is_taken_once() -> None:
    arrival = Arrival(blank())
    assert arrival.reached(30).done()
    arrival.take()
    with pytest.raises(ValueError, match="taken"):
        arrival.take()


@pytest.mark.parametrize("kind", [ImageFormat.JPEG, ImageFormat.PNG])
def test_strips_hold_what_is_said_to_be_there(kind: ImageFormat) -> None:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (3 * STRIP_ROWS + 7, 50, 3), np.uint8)
    source = inspect(with_pillow(pixels, kind.value.upper()), LIMITS)
    whole = decode(source).pixels
    arrival = begin(source)
    assert arrival._strips is not None
    seen = []
    for rows in arrival._strips:
        seen.append(rows)
        assert np.array_equal(arrival.raster.pixels[:rows], whole[:rows])
    assert seen == [STRIP_ROWS, 2 * STRIP_ROWS, 3 * STRIP_ROWS, 3 * STRIP_ROWS + 7]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_only_full_resolution_as_the_file_lies_can_begin_early(orientation: int) -> None:
    raster = blank(200, 200, orientation)
    views = plan_views(200, 200, tile_width=64, tile_height=64, overlap=8, effort=Effort.BALANCED)
    first = [view for view in views if view.level == 0 and view.y == 0]
    assert {rows_needed(view, raster) for view in first} == {64 if orientation in (1, 2) else 200}
    assert {rows_needed(view, raster) for view in views if view.level != 0} == {200}
    assert rows_needed("another kind of view", raster) == 200


def test_what_may_be_a_panorama_by_its_look_is_waited_for() -> None:
    assert rows_to_plan(blank(200, 100)) == rows_to_plan(blank(201, 100)) == 100
    assert rows_to_plan(blank(200, 100, gpano=b"<x/>")) == rows_to_plan(blank(200, 150)) == 0
