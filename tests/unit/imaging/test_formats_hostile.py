"""HEIC, AVIF, JPEG 2000, BMP and BigTIFF that are cut, damaged or lie: a picture or a plain refusal, soon."""

import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import CorruptImage, UnsupportedFormat, VeilError
from service.imaging.codec import decode
from service.imaging.source import SourceLimits, inspect
from tests.images import picture, with_pillow, with_tifffile
from tests.stills import bmp, heic, isobmff, jp2, leaky_avif, leaky_heic

LIMITS = SourceLimits(max_pixels=1_000_000, max_side=5_000)
RGB = picture(64, 64, 3)
PALETTE = bytes(range(256)) * 4
RUNS = bytes([5, 3, 0, 4, 1, 2, 3, 4, 0, 0, 9, 1, 0, 2, 1, 0, 6, 7, 0, 1])
FILES = {
    "heic": heic(RGB),
    "heic 10 bits": heic(picture(64, 64, 4, np.uint16)),
    "heic grid": heic(picture(128, 128, 3), tile_size=64),
    "heic with all": leaky_heic(RGB),
    "avif": with_pillow(RGB, "AVIF"),
    "avif with all": leaky_avif(RGB),
    "jp2": jp2(picture(64, 64, 4)),
    "jp2 tiles": with_pillow(RGB, "JPEG2000", tile_size=(32, 32), irreversible=True),
    "j2k": jp2(RGB, codestream=True),
    "bmp": with_pillow(RGB, "BMP"),
    "bmp masks": bmp(bytes(64), 16, 2, 16, compression=3, masks=(0xF800, 0x7E0, 0x1F)),
    "bmp runs": bmp(RUNS, 16, 4, 8, compression=1, palette=PALETTE),
    "bigtiff": with_tifffile(RGB, bigtiff=True, tile=(32, 32), compression="zlib"),
}
MORE_THAN_THE_PICTURE = ("heic with all", "avif with all", "bmp runs")
"""Behind the picture's last byte there is more that may be cut off without harm."""


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_refused(name: str) -> None:
    data = FILES[name]
    whole = decode(inspect(data, LIMITS)).pixels
    for end in range(0, len(data) - 2, max(1, len(data) // 60)):
        try:
            seen = decode(inspect(data[:end], LIMITS)).pixels
        except (CorruptImage, UnsupportedFormat):
            continue
        assert name in MORE_THAN_THE_PICTURE
        np.testing.assert_array_equal(seen, whole)


@settings(max_examples=600, deadline=2000)
@given(
    st.sampled_from(list(FILES)),
    st.lists(st.tuples(st.sampled_from([64, 400, 1200, 1 << 20]), st.floats(0, 1), st.integers(0, 255)), max_size=8),
)
def test_damage_ends_in_a_picture_or_in_a_plain_refusal(name: str, damage: list[tuple[int, float, int]]) -> None:
    """`damage`: within how many bytes from the beginning, where there, and the new byte."""
    data = bytearray(FILES[name])
    for within, where, value in damage:
        reach = min(within, len(data))
        data[min(reach - 1, int(where * reach))] = value
    try:
        raster = decode(source := inspect(bytes(data), LIMITS))
    except VeilError:
        return
    assert (raster.width, raster.height) == (source.width, source.height)


SIGNATURES = [
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
]


@settings(max_examples=200, deadline=2000)
@given(st.sampled_from(SIGNATURES), st.binary())
def test_noise_behind_a_signature(signature: bytes, noise: bytes) -> None:
    with pytest.raises(VeilError):
        decode(inspect(signature + noise, LIMITS))


def meta(*boxes: bytes) -> bytes:
    return SIGNATURES[0] + isobmff(b"meta", bytes(4), *boxes)


PITM = isobmff(b"pitm", bytes(4), b"\0\1")
IPRP = isobmff(b"iprp", isobmff(b"ipco"), isobmff(b"ipma", bytes(8)))
IINF = isobmff(b"iinf", bytes(4), b"\0\1", isobmff(b"infe", b"\2\0\0\0\0\1\0\0hvc1\0"))


@pytest.mark.parametrize(
    "data",
    [
        meta(PITM, IINF, IPRP, isobmff(b"iloc", b"\1\0\0\0\x44\0\xff\xff")),
        meta(PITM, IPRP, isobmff(b"iloc", bytes(8)), isobmff(b"iinf", bytes(6), isobmff(b"infe", bytes(4)) * 500_000)),
        meta(PITM, IINF, isobmff(b"iloc", bytes(8)), isobmff(b"iprp", isobmff(b"ipco", isobmff(b"free") * 900_000))),
        meta(isobmff(b"free") * 900_000),
        SIGNATURES[0] + isobmff(b"free") * 900_000,
        SIGNATURES[2] + isobmff(b"jp2h", isobmff(b"free") * 900_000) + isobmff(b"jp2c", jp2(RGB, codestream=True)),
        jp2(RGB, codestream=True)[:-2] + b"\xff\x64\0\2" * 1_000_000 + b"\xff\xd9",
    ],
)
def test_a_flood_of_parts_is_refused_soon(data: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises((CorruptImage, UnsupportedFormat)):
        inspect(data, LIMITS)
    assert time.perf_counter() - started < 3


def test_items_that_are_the_whole_file_many_times_over_are_refused() -> None:
    """Extents may overlap: a thousand of them would make a small file a large item."""
    extents = struct.pack(">HHHH", 1, 0, 0, 1000) + struct.pack(">II", 0, 1_000_000) * 1000
    located = isobmff(b"iloc", b"\1\0\0\0\x44\0", b"\0\1", extents)
    ispe = isobmff(b"ispe", bytes(4), struct.pack(">II", 64, 64))
    owned = isobmff(b"ipma", bytes(4), struct.pack(">IHBB", 1, 1, 1, 1))
    av01 = IINF.replace(b"hvc1", b"av01")
    data = meta(PITM, av01, located, isobmff(b"iprp", isobmff(b"ipco", ispe), owned)) + bytes(1_000_000)
    with pytest.raises(CorruptImage) as refused:
        inspect(data, LIMITS)
    assert "more than the file" in (refused.value.cause or "")
