"""What a JPEG's header says of its samples, and what is refused."""

import numpy as np
import pytest

from service.errors import CorruptImage
from service.imaging.containers.jpeg_frame import Coding, read_frame
from service.imaging.jpeg_grid import grid_of
from tests.images import jpeg_segment
from tests.jpegs import KINDS, coefficients, encoded, photo

CODINGS = {"gray": Coding.GRAY, "gray progressive": Coding.GRAY, "RGB": Coding.RGB, "YCCK": Coding.YCCK} | {
    "CMYK": Coding.CMYK,
    "CMYK plain": Coding.CMYK,
}


@pytest.mark.parametrize("size", [(64, 64), (65, 81)])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_what_another_reader_finds(kind, size):
    data = encoded(photo(*size), kind)
    frame = read_frame(data)
    planes, tables, factors = coefficients(data)
    assert (frame.height, frame.width) == size
    assert frame.coding is CODINGS.get(kind, Coding.YCBCR)
    assert frame.progressive == ("progressive" in kind)
    assert [(c.down, c.across) for c in frame.components] == factors
    grid = grid_of(frame)
    assert [(p.rows, p.columns) for p in grid.planes] == [plane.shape[:2] for plane in planes]
    for i, component in enumerate(frame.components):
        np.testing.assert_array_equal(component.steps.reshape(8, 8), tables[min(i, len(tables) - 1) if i else 0])


def with_table(data: bytes, edit) -> bytes:
    """`data` with the first quantization table (8 bits) changed by `edit`, a function of its 64 bytes."""
    at = data.index(b"\xff\xdb") + 5
    return data[:at] + bytes(edit(bytearray(data[at : at + 64]))) + data[at + 64 :]


@pytest.mark.parametrize("place", [0, 31, 63])
def test_a_step_of_zero_is_refused(place):
    def zero(table: bytearray) -> bytearray:
        table[place] = 0
        return table

    with pytest.raises(CorruptImage):
        read_frame(with_table(encoded(photo(16, 16), "4:2:0"), zero))


def test_a_missing_table_is_refused():
    data = encoded(photo(16, 16), "gray")
    at = data.index(b"\xff\xdb")
    size = int.from_bytes(data[at + 2 : at + 4], "big") + 2
    with pytest.raises(CorruptImage):
        read_frame(data[:at] + data[at + size :])


def test_tables_that_change_between_scans_are_not_patched():
    data = encoded(photo(32, 32), "progressive")
    last = data.rindex(b"\xff\xda")
    at = data.index(b"\xff\xdb")
    same = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    assert read_frame(data[:last] + same + data[last:]) is not None
    other = jpeg_segment(0xDB, b"\0" + bytes([77] * 64))
    assert read_frame(data[:last] + other + data[last:]) is None


@pytest.mark.parametrize(
    ("factors", "whole"),
    [((0x22, 0x11, 0x11), True), ((0x41, 0x11, 0x11), True), ((0x31, 0x21, 0x11), False), ((0x23, 0x12, 0x11), False)],
)
def test_grids_need_whole_pixels_per_sample(factors, whole):
    data = bytearray(encoded(photo(32, 32), "4:2:0"))
    at = data.index(b"\xff\xc0") + 11
    for i, value in enumerate(factors):
        data[at + 3 * i] = value
    assert (grid_of(read_frame(bytes(data))) is not None) == whole


def test_sampling_factors_that_cannot_be_are_refused():
    data = bytearray(encoded(photo(32, 32), "4:2:0"))
    for value in (0x00, 0x05, 0x50):
        data[data.index(b"\xff\xc0") + 11] = value
        with pytest.raises(CorruptImage):
            read_frame(bytes(data))


def test_the_codes_of_the_standard_are_known():
    pixels = photo(64, 64)
    assert read_frame(encoded(pixels, "4:2:0")).standard_codes
    assert not read_frame(encoded(pixels, "optimized")).standard_codes


def test_a_table_that_is_cut_short_is_refused():
    data = encoded(photo(32, 32), "progressive")
    end = data.rindex(b"\xff\xd9")
    for payload in (b"\0" + bytes([9] * 63), b"\x10" + bytes([9] * 64), b"\0"):
        with pytest.raises(CorruptImage):
            read_frame(data[:end] + jpeg_segment(0xDB, payload) + data[end:])
