"""What an upload is, found out by its content, within bounds, and without decoding it."""

import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.errors import CorruptImage, TooManyPixels, UnsupportedFormat, UnsupportedFrames, VeilError
from service.imaging.codec import decode
from service.imaging.formats import ImageFormat
from service.imaging.raster import ColorModel
from service.imaging.source import SourceLimits, inspect
from tests.images import (
    exif_block,
    jpeg_segment,
    leaky_jpeg,
    leaky_png,
    leaky_tiff,
    leaky_webp,
    picture,
    png_by_hand,
    png_chunk,
    srgb_profile,
    with_pillow,
    with_tifffile,
)

LIMITS = SourceLimits(max_pixels=1_000_000, max_side=5_000)
RGB = picture(48, 64, 3)
LEAKY = {
    ImageFormat.JPEG: leaky_jpeg,
    ImageFormat.PNG: leaky_png,
    ImageFormat.WEBP: leaky_webp,
    ImageFormat.TIFF: leaky_tiff,
}
FORMATS = list(LEAKY)
PLAIN = {each: with_pillow(RGB, each.value.upper()) for each in FORMATS}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", FORMATS)
def test_size_is_reported_upright_and_as_stored(kind: ImageFormat, orientation: int) -> None:
    source = inspect(LEAKY[kind](RGB, orientation), LIMITS)
    assert source.format is kind
    assert source.orientation == orientation
    assert (source.stored_width, source.stored_height) == (64, 48)
    assert (source.width, source.height) == ((64, 48) if orientation < 5 else (48, 64))
    assert source.icc == srgb_profile()
    assert source.equirectangular
    assert b"123.4" not in (source.gpano or b"")


def test_what_is_in_the_picture_is_not_in_its_description() -> None:
    assert "LEAKED" not in repr(inspect(leaky_jpeg(RGB), LIMITS))
    assert "data" not in repr(inspect(leaky_jpeg(RGB), LIMITS))


@pytest.mark.parametrize(
    ("data", "color", "alpha", "depth"),
    [
        (with_pillow(picture(8, 8, 1), "JPEG"), ColorModel.GRAY, False, 8),
        (with_pillow(picture(8, 8, 4), "JPEG", mode="CMYK"), ColorModel.CMYK, False, 8),
        (png_by_hand(picture(8, 8, 2, np.uint16)), ColorModel.GRAY, True, 16),
        (png_by_hand(picture(8, 8, 3, np.uint16)), ColorModel.RGB, False, 16),
        (with_pillow(picture(8, 8, 4), "WEBP", lossless=True), ColorModel.RGB, True, 8),
        (with_tifffile(picture(8, 8, 4, np.uint16), extrasamples=["UNASSALPHA"]), ColorModel.RGB, True, 16),
        (with_tifffile(picture(8, 8, 4), "separated"), ColorModel.CMYK, False, 8),
        (with_tifffile(picture(8, 8, 1)[:, :, 0], "minisblack"), ColorModel.GRAY, False, 8),
    ],
)
def test_color_alpha_and_depth(data: bytes, color: ColorModel, alpha: bool, depth: int) -> None:
    source = inspect(data, LIMITS)
    assert (source.color, source.alpha, source.bit_depth) == (color, alpha, depth)


def test_how_it_was_coded() -> None:
    assert inspect(with_pillow(RGB, "WEBP", lossless=True), LIMITS).lossless
    assert not inspect(with_pillow(RGB, "WEBP"), LIMITS).lossless
    assert inspect(PLAIN[ImageFormat.PNG], LIMITS).lossless
    assert not inspect(PLAIN[ImageFormat.JPEG], LIMITS).lossless
    assert inspect(with_pillow(RGB, "TIFF", compression="tiff_lzw"), LIMITS).lossless
    assert not inspect(with_pillow(RGB, "TIFF", compression="jpeg"), LIMITS).lossless
    assert inspect(with_pillow(RGB, "JPEG", subsampling="4:4:4"), LIMITS).full_chroma
    assert inspect(with_pillow(RGB, "JPEG", subsampling="4:2:2"), LIMITS).full_chroma
    assert not inspect(with_pillow(RGB, "JPEG", subsampling="4:2:0"), LIMITS).full_chroma


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF89a" + bytes(20), "GIF"),
        (b"%PDF-1.7", "PDF"),
        (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom", "camera raw"),
        (b"\0\0\0\x18ftypisom", "video"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"\n <svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"", "empty"),
        (b"no picture at all", "none of the formats"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "none of the formats"),
    ],
)
def test_other_formats_are_named(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedFormat, match=name) as refused:
        inspect(data, LIMITS)
    assert "JPEG, PNG, WebP, TIFF, BMP, AVIF, HEIC and JPEG 2000" in refused.value.detail


def with_size(data: bytes, kind: ImageFormat, width: int, height: int) -> bytes:
    """`data` (64 × 48) with a header that lies about its size."""
    old, code = {
        ImageFormat.JPEG: (struct.pack(">HH", 48, 64), struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)),
        ImageFormat.PNG: (struct.pack(">II", 64, 48), struct.pack(">II", width, height)),
        ImageFormat.WEBP: (struct.pack("<HH", 64, 48), struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)),
        ImageFormat.TIFF: (
            struct.pack("<HHIIHHII", 256, 4, 1, 64, 257, 4, 1, 48),
            struct.pack("<HHIIHHII", 256, 4, 1, width, 257, 4, 1, height),
        ),
    }[kind]
    if kind is ImageFormat.TIFF:
        start = data.index(struct.pack("<H", 256), 8)
        return data[:start] + code + data[start + 24 :]
    assert data.count(old) == 1
    return data.replace(old, code)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(2_000, 2_000), (5_001, 1)])
def test_limits_hold_by_the_header(kind: ImageFormat, width: int, height: int) -> None:
    data = with_size(PLAIN[kind], kind, width, height)
    with pytest.raises(TooManyPixels):
        inspect(data, LIMITS)
    assert inspect(data, SourceLimits(max_pixels=4_000_000, max_side=5_001)).width == width


@pytest.mark.parametrize("kind", [ImageFormat.JPEG, ImageFormat.PNG, ImageFormat.TIFF])
def test_no_pixels_at_all_is_corrupt(kind: ImageFormat) -> None:
    with pytest.raises(CorruptImage):
        inspect(with_size(PLAIN[kind], kind, 0, 48), LIMITS)


def test_frames_and_pages_are_refused() -> None:
    frames = [np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)]
    others = [Image.fromarray(frames[1])]
    for data, match in (
        (with_pillow(frames[0], "PNG", save_all=True, append_images=others), "animated"),
        (with_pillow(frames[0], "WEBP", save_all=True, append_images=others, duration=100), "animated"),
        (with_pillow(frames[0], "TIFF", save_all=True, append_images=others), "more than one page"),
        (with_tifffile(np.stack(frames), photometric="rgb"), "more than one page"),
    ):
        with pytest.raises(UnsupportedFrames, match=match):
            inspect(data, LIMITS)


def test_a_second_image_behind_a_jpeg_is_no_frame() -> None:
    data = with_pillow(RGB, "MPO", save_all=True, append_images=[Image.fromarray(RGB)])
    assert inspect(data, LIMITS).format is ImageFormat.JPEG


def test_camera_raw_is_refused_rather_than_its_preview_taken() -> None:
    with pytest.raises(UnsupportedFormat, match="raw"):
        inspect(with_tifffile(RGB, subfiletype=1), LIMITS)
    with pytest.raises(UnsupportedFormat, match="raw"):
        inspect(with_tifffile(RGB, extratags=[(50706, "B", 4, b"\1\4\0\0", True)]), LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        with_tifffile(picture(8, 8, 3).astype(np.float32)),
        with_tifffile(picture(8, 8, 3).astype(np.uint32)),
        with_tifffile(picture(8, 8, 3).astype(np.int16)),
        with_tifffile(picture(8, 8, 3), "cielab"),
        with_pillow(picture(8, 8, 3), "TIFF", mode="YCbCr"),
        with_tifffile(picture(8, 8, 5), extrasamples=["UNSPECIFIED", "UNSPECIFIED"]),
        with_tifffile(picture(8, 8, 1)[:, :, 0], "minisblack", compression=None).replace(
            struct.pack("<HHIHH", 259, 3, 1, 1, 0), struct.pack("<HHIHH", 259, 3, 1, 6, 0)
        ),
        with_pillow(RGB, "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc3\0\x11\x08"),
        with_pillow(RGB, "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"),
    ],
)
def test_kinds_that_are_not_read_are_refused_before_decoding(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        inspect(data, LIMITS)


def test_directories_in_a_loop() -> None:
    reduced = struct.pack("<HHII", 254, 4, 1, 1)
    data = bytearray(with_tifffile(RGB, metadata=None))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    loop = len(data)
    struct.pack_into("<I", data, first + 2 + 12 * count, loop)
    data += struct.pack("<H", 1) + reduced + struct.pack("<I", loop)
    with pytest.raises(CorruptImage):
        inspect(bytes(data), LIMITS)


def test_big_tiff_is_read() -> None:
    data = with_tifffile(RGB, bigtiff=True, extratags=[(274, "H", 1, 8, True)])
    assert data[:4] == b"II+\0"
    source = inspect(data, LIMITS)
    assert source.orientation == 8
    np.testing.assert_array_equal(decode(source).pixels, RGB)


BROKEN_EXIF = [
    b"",
    b"II",
    b"II*\0\xff\xff\xff\xff",
    b"XX*\0\x08\0\0\0\x01\0",
    b"II*\0\x08\0\0\0\xff\xff" + bytes(20),
    exif_block(6).replace(b"\x01\x12\0\x03", b"\x01\x12\0\x0c"),  # a double
    exif_block(9),
    exif_block(6).replace(b"\0\0\0\x01\0\x06", b"\x7f\xff\xff\xff\0\x06"),  # 2³¹ values
]


@pytest.mark.parametrize("exif", BROKEN_EXIF)
def test_broken_exif_costs_the_turn_and_not_the_picture(exif: bytes) -> None:
    exif = exif.removeprefix(b"Exif\0\0")
    jpeg = PLAIN[ImageFormat.JPEG]
    jpeg = jpeg[:2] + jpeg_segment(0xE1, b"Exif\0\0" + exif) + jpeg[2:]
    for data in (jpeg, png_by_hand(RGB, png_chunk(b"eXIf", exif))):
        source = inspect(data, LIMITS)
        assert source.orientation == 1
        assert decode(source).pixels.shape == (48, 64, 3)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(bytes(200_000_000))),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(200_000_000))),
        png_chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(200_000_000))),
        png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000))),
    ],
)
def test_metadata_bombs_do_not_go_off(chunk: bytes) -> None:
    data = png_by_hand(RGB, chunk)
    tracemalloc.start()
    try:
        decode(inspect(data, LIMITS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000


def test_a_flood_of_empty_parts_is_refused_soon() -> None:
    started = time.perf_counter()
    for flood in (
        b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000,
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", bytes(13)) + png_chunk(b"noNe", b"") * 700_000,
        b"RIFF" + struct.pack("<I", 8_000_004) + b"WEBP" + b"NONE\0\0\0\0" * 1_000_000,
    ):
        with pytest.raises(CorruptImage):
            inspect(flood, LIMITS)
    assert time.perf_counter() - started < 5


def test_a_progressive_jpeg_of_endless_scans_is_refused() -> None:
    data = with_pillow(RGB, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(CorruptImage):
        inspect(data[:-2] + data[last:-2] * 120 + data[-2:], LIMITS)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_truncation_is_refused(kind: ImageFormat) -> None:
    data = PLAIN[kind] if kind is not ImageFormat.TIFF else with_pillow(RGB, "TIFF", compression="tiff_adobe_deflate")
    decode(inspect(data, LIMITS))
    for end in range(0, len(data) - 2, max(1, len(data) // 60)):
        with pytest.raises((CorruptImage, UnsupportedFormat)):
            decode(inspect(data[:end], LIMITS))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8))
def test_damage_ends_in_a_picture_or_in_a_plain_refusal(kind: ImageFormat, damage: list[tuple[float, int]]) -> None:
    data = bytearray(LEAKY[kind](RGB[:16, :16]))
    for where, value in damage:
        data[min(len(data) - 1, int(where * len(data)))] = value
    try:
        raster = decode(source := inspect(bytes(data), LIMITS))
    except VeilError:
        return
    assert (raster.width, raster.height) == (source.width, source.height)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\0\0\0WEBP", b"II*\0", b"MM\0+"]), st.binary())
def test_noise_behind_a_signature(signature: bytes, noise: bytes) -> None:
    with pytest.raises(VeilError):
        decode(inspect(signature + noise, LIMITS))
