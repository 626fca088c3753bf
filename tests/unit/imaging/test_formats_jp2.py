"""JPEG 2000: samples as written, colors as said, and codestreams that ask for too much refused before decoding."""

import struct
from collections.abc import Callable

import numpy as np
import pytest

from service.errors import CorruptImage, TooManyPixels, UnsupportedFormat
from service.imaging.codec import decode
from service.imaging.containers import jp2 as container
from service.imaging.raster import ColorModel, Raster
from service.imaging.source import SourceLimits, inspect
from tests.images import GPANO_XMP, LEAK, picture, profile_for, srgb_profile, with_pillow
from tests.stills import isobmff, jp2, jp2_by_hand, read_by_pillow

LIMITS = SourceLimits(max_pixels=50_000_000, max_side=65_500)
RGB = picture(48, 64, 3)
STREAM = jp2(RGB, codestream=True)


def read(data: bytes) -> Raster:
    return decode(inspect(data, LIMITS))


@pytest.mark.parametrize("codestream", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_come_out_as_they_went_in(
    channels: int, dtype: type[np.uint8] | type[np.uint16], codestream: bool
) -> None:
    pixels = picture(48, 64, channels, dtype)
    raster = read(jp2(pixels, codestream=codestream))
    np.testing.assert_array_equal(raster.pixels, pixels)
    assert raster.pixels.dtype == dtype
    assert raster.lossless
    assert raster.color is (ColorModel.GRAY if channels == 1 else ColorModel.RGB)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha(dtype: type[np.uint8] | type[np.uint16]) -> None:
    pixels = picture(48, 64, 4, dtype)
    raster = read(jp2(pixels))
    assert raster.alpha
    np.testing.assert_array_equal(raster.pixels, pixels)


@pytest.mark.parametrize("options", [{}, {"irreversible": True, "quality_layers": [40]}, {"tile_size": (32, 32)}])
def test_what_pillow_writes(options: dict[str, object]) -> None:
    data = with_pillow(RGB, "JPEG2000", **options)
    raster = read(data)
    assert np.abs(raster.pixels.astype(int) - read_by_pillow(data)).max() <= 1
    assert raster.lossless == ("irreversible" not in options)


def test_12_bits_are_spread_over_16() -> None:
    """A codestream of 16-bit samples around the middle of their range, relabeled: the middle of 12 bits is 2048."""
    samples = picture(48, 64, 3, np.uint16) >> 4
    data = bytearray(jp2((samples.astype(int) - 2048 + 32_768).astype(np.uint16), codestream=True))
    assert data[42:51:3] == b"\x0f\x0f\x0f"
    data[42:51:3] = b"\x0b\x0b\x0b"
    source = inspect(bytes(data), LIMITS)
    assert (source.bit_depth, source.precision) == (16, 12)
    np.testing.assert_array_equal(decode(source).pixels, np.rint(samples * (65_535 / 4095)))


def test_colors_by_profile_and_by_number() -> None:
    profiled = read(jp2_by_hand(STREAM, color=b"\2\0\0" + srgb_profile()))
    assert profiled.icc == srgb_profile()
    np.testing.assert_array_equal(profiled.pixels, RGB)
    ink = picture(48, 64, 4)
    cmyk = read(jp2_by_hand(jp2(ink, codestream=True), color=b"\1\0\0\0\0\0\x0c"))
    assert cmyk.color is ColorModel.CMYK
    np.testing.assert_array_equal(cmyk.pixels, ink)
    gray = jp2(RGB[:, :, :1], codestream=True)
    assert read(jp2_by_hand(gray, color=b"\2\0\0" + profile_for(b"GRAY"))).color is ColorModel.GRAY


def test_the_projection_is_read_and_nothing_else_reaches_the_decoder() -> None:
    packet = isobmff(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), GPANO_XMP)
    data = jp2_by_hand(STREAM, after=packet + isobmff(b"xml ", LEAK)) + isobmff(b"free", LEAK) + LEAK
    assert inspect(data, LIMITS).equirectangular
    assert container.pixels_only(data) == STREAM
    np.testing.assert_array_equal(read(data).pixels, RGB)


@pytest.mark.parametrize(
    "data",
    [
        jp2_by_hand(STREAM, color=b"\1\0\0\0\0\0\x12"),  # sYCC
        jp2_by_hand(STREAM, color=b"\2\0\0" + profile_for(b"Lab ")),
        jp2_by_hand(STREAM, color=b"\5\0\0" + srgb_profile()),
        jp2_by_hand(STREAM, isobmff(b"pclr", bytes(20))),
        jp2_by_hand(STREAM, isobmff(b"cdef", struct.pack(">H9H", 3, 0, 0, 3, 1, 0, 2, 2, 0, 1))),  # blue first
        jp2_by_hand(STREAM, color=b"\1\0\0\0\0\0\x11"),  # gray, with three components
        with_pillow(picture(48, 64, 2), "JPEG2000"),
        jp2(picture(48, 64, 4), codestream=True),  # four components that nothing explains
        STREAM.replace(b"\xff\x51\0\x2f\0\0", b"\xff\x51\0\x2f\x40\0"),  # HTJ2K
        STREAM[:42] + b"\x87" + STREAM[43:],  # signed
        STREAM[:46] + b"\2" + STREAM[47:],  # subsampled
    ],
)
def test_kinds_that_are_not_read_are_refused_before_decoding(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        inspect(data, LIMITS)


def with_style(change: Callable[[bytearray], None], pixels: tuple[int, int] = (1024, 1024)) -> bytes:
    """A codestream of a larger picture whose COD (from its first parameter on) is changed."""
    data = bytearray(jp2(np.zeros((*pixels, 1), np.uint8), codestream=True))
    at = data.index(b"\xff\x52") + 4
    style = bytearray(data[at : at + 10])
    change(style)
    data[at : at + 10] = style
    length = struct.pack(">H", len(style) + 2)
    data[at - 2 : at] = length
    return bytes(data)


def layers(style: bytearray) -> None:
    style[2:4] = b"\xff\xff"


def small_blocks(style: bytearray) -> None:
    style[6:8] = b"\0\0"


def tiny_precincts(style: bytearray) -> None:
    style[0] |= 1
    style += bytes(style[5] + 1)


def many_levels(style: bytearray) -> None:
    style[5] = 33


@pytest.mark.parametrize("change", [layers, small_blocks, tiny_precincts, many_levels])
def test_codestreams_that_ask_for_too_much(change: Callable[[bytearray], None]) -> None:
    with pytest.raises(CorruptImage):
        inspect(with_style(change), LIMITS)
    assert inspect(with_style(lambda style: None), LIMITS).width == 1024


def test_sizes_of_picture_and_tiles() -> None:
    def sized(*values: int) -> bytes:
        return STREAM[:8] + struct.pack(">8I", *values) + STREAM[40:]

    with pytest.raises(TooManyPixels):
        inspect(sized(60_000, 60_000, 0, 0, 60_000, 60_000, 0, 0), LIMITS)
    for values in (
        (0, 48, 0, 0, 64, 48, 0, 0),
        (64, 48, 64, 0, 64, 48, 0, 0),
        (64, 48, 0, 0, 0, 48, 0, 0),
        (64, 48, 0, 0, 64, 48, 1, 0),
        (64, 48, 40, 0, 32, 48, 0, 0),
        (6000, 6000, 0, 0, 8, 8, 0, 0),
        (500, 500, 0, 0, 4, 4, 0, 0),
    ):
        with pytest.raises(CorruptImage):
            inspect(sized(*values), LIMITS)
