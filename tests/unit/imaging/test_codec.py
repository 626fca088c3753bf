"""Pixels come out as they were written and go in as they are, in every format, depth, color model and turn."""

import functools
import io
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms, ImageOps

from service.errors import CorruptImage, InvalidRequest
from service.imaging.codec import decode, encode
from service.imaging.containers import jpeg, png, webp
from service.imaging.formats import WRITTEN, ImageFormat
from service.imaging.masking import Mask
from service.imaging.obscuring import Composite, obscure
from service.imaging.raster import ColorModel, Raster, upright_view
from service.imaging.source import SourceLimits, inspect
from service.imaging.verify import verify
from tests.images import (
    LEAK,
    leaky_jpeg,
    leaky_png,
    leaky_tiff,
    leaky_webp,
    picture,
    png_by_hand,
    png_chunk,
    profile_for,
    srgb_profile,
    with_pillow,
    with_tifffile,
)
from tests.stills import bmp, heic, jp2

LIMITS = SourceLimits(max_pixels=50_000_000, max_side=65_500)
RGB = picture(48, 64, 3)
Depth = type[np.uint8] | type[np.uint16]
CLOSE = 4
"""Mean difference in 8-bit steps between a smooth picture and itself after JPEG or WebP at quality 95."""


def read(data: bytes) -> Raster:
    return decode(inspect(data, LIMITS))


def untouched(raster: Raster) -> Composite:
    """`raster` with a mask that hides nothing."""
    return obscure(raster, Mask((), (), raster.width, raster.height), b"secret")


def checked(raster: Raster, to: ImageFormat, quality: int = 95) -> bytes:
    """`raster` encoded, and through the output's own check."""
    composite = untouched(raster)
    data = encode(composite, to, quality)
    verify(data, to, composite)
    return data


def shown(data: bytes) -> npt.NDArray[Any]:
    """What a viewer that honors orientation shows: (H, W, C), read by Pillow, or where that loses bits, by others."""
    with Image.open(io.BytesIO(data)) as image:
        kind, mode, orientation = image.format, image.mode, image.getexif().get(0x0112, 1)
        pixels = np.atleast_3d(np.asarray(ImageOps.exif_transpose(image)))
    if kind == "TIFF":
        return upright_view(np.atleast_3d(tifffile.imread(io.BytesIO(data))), orientation)
    if kind == "PNG" and mode.startswith(("RGB", "LA")):
        raw = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if raw is not None and raw.dtype == np.uint16:
            return raw[:, :, [2, 1, 0, 3][: raw.shape[2]]]
    return pixels


# --- decode ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_decodes_to_its_samples(channels: int, dtype: Depth) -> None:
    pixels = picture(20, 30, channels, dtype)
    raster = read(png_by_hand(pixels))
    np.testing.assert_array_equal(raster.pixels, pixels)
    assert raster.pixels.dtype == dtype
    assert raster.pixels.flags.c_contiguous
    assert raster.pixels.flags.writeable
    assert raster.alpha == (channels in (2, 4))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_png_below_8_bits_is_spread_over_8(depth: int) -> None:
    values = np.arange(8 * 16, dtype=np.uint8).reshape(8, 16, 1) % (1 << depth)
    np.testing.assert_array_equal(read(png_by_hand(values, depth=depth)).pixels, values * (255 // ((1 << depth) - 1)))


def test_png_palette_is_expanded_with_its_transparency() -> None:
    colors = np.array([[255, 0, 0], [0, 255, 0], [9, 9, 9]], np.uint8)
    index = np.arange(12, dtype=np.uint8).reshape(3, 4, 1) % 3
    palette = png_chunk(b"PLTE", colors.tobytes())
    opaque = read(png_by_hand(index, palette, color_type=3))
    np.testing.assert_array_equal(opaque.pixels, colors[index[:, :, 0]])
    glass = read(png_by_hand(index, palette, png_chunk(b"tRNS", b"\xff\x80"), color_type=3))
    assert glass.alpha
    np.testing.assert_array_equal(glass.pixels[:, :, 3], np.array([255, 128, 255], np.uint8)[index[:, :, 0]])


def test_png_transparent_color_becomes_alpha() -> None:
    pixels = np.array([[[0], [7]], [[7], [255]]], np.uint8)
    raster = read(png_by_hand(pixels, png_chunk(b"tRNS", b"\0\x07")))
    np.testing.assert_array_equal(raster.pixels, np.dstack([pixels, np.where(pixels == 7, 0, 255)]))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 1}])
def test_jpeg_decodes_as_elsewhere(options: dict[str, Any]) -> None:
    data = with_pillow(RGB, "JPEG", quality=95, **options)
    raster = read(data)
    assert np.abs(raster.pixels.astype(int) - shown(data)).max() <= 2
    assert raster.color is ColorModel.RGB


def test_gray_jpeg_stays_gray() -> None:
    data = with_pillow(RGB[:, :, :1], "JPEG", quality=95)
    raster = read(data)
    assert raster.color is ColorModel.GRAY
    assert np.abs(raster.pixels.astype(int) - shown(data)).max() <= 2


def test_cmyk_jpeg_is_ink() -> None:
    ink = picture(32, 32, 4)
    raster = read(with_pillow(ink, "JPEG", mode="CMYK", quality=100))
    assert raster.color is ColorModel.CMYK
    assert not raster.alpha
    assert np.abs(raster.pixels.astype(int) - ink).mean() < CLOSE


@pytest.mark.parametrize(
    ("pixels", "photometric", "options"),
    [
        (picture(40, 50, 3), "rgb", {}),
        (picture(40, 50, 3, np.uint16), "rgb", {"compression": "zlib", "predictor": True}),
        (picture(40, 50, 3, np.uint16), "rgb", {"byteorder": ">"}),
        (picture(40, 50, 4), "rgb", {"extrasamples": ["UNASSALPHA"]}),
        (picture(40, 50, 1, np.uint16), "minisblack", {}),
        (picture(40, 50, 4), "separated", {}),
        (picture(40, 50, 4, np.uint16), "separated", {"rowsperstrip": 7}),
        (picture(140, 150, 3), "rgb", {"tile": (32, 64)}),
    ],
)
def test_tiff_decodes_to_its_samples(pixels: npt.NDArray[Any], photometric: str, options: dict[str, Any]) -> None:
    array = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    raster = read(with_tifffile(array, photometric, **options))
    np.testing.assert_array_equal(raster.pixels, pixels)
    assert raster.pixels.dtype == pixels.dtype


def test_tiff_planes_white_is_zero_and_lzw() -> None:
    planes = np.ascontiguousarray(np.moveaxis(RGB, 2, 0))
    np.testing.assert_array_equal(read(with_tifffile(planes, planarconfig="separate")).pixels, RGB)
    gray = RGB[:, :, :1]
    np.testing.assert_array_equal(read(with_tifffile(255 - gray[:, :, 0], "miniswhite")).pixels, gray)
    for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate"):
        np.testing.assert_array_equal(read(with_pillow(RGB, "TIFF", compression=compression)).pixels, RGB)


def test_tiff_palette_of_grays_is_still_rgb() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, axis=0)
    index = RGB[:, :, 0]
    raster = read(with_tifffile(index, "palette", colormap=ramp))
    np.testing.assert_array_equal(raster.pixels, np.repeat(index[:, :, None], 3, axis=2))


def test_tiff_with_jpeg_inside() -> None:
    data = with_pillow(RGB, "TIFF", compression="jpeg", quality=95)
    assert np.abs(read(data).pixels.astype(int) - RGB).mean() < CLOSE


def test_premultiplied_alpha_is_divided_out() -> None:
    pixels = picture(20, 20, 4)
    pixels[:, :, 3] = 128 + pixels[:, :, 3] // 2
    multiplied = np.rint(pixels[:, :, :3] * (pixels[:, :, 3:] / 255)).astype(np.uint8)
    data = with_tifffile(np.dstack([multiplied, pixels[:, :, 3]]), extrasamples=["ASSOCALPHA"])
    raster = read(data)
    assert np.abs(raster.pixels.astype(int) - pixels).max() <= 2
    np.testing.assert_array_equal(raster.pixels[:, :, 3], pixels[:, :, 3])


def test_bilevel_tiff() -> None:
    bits = RGB[:, :, 0] > 127
    file = io.BytesIO()
    Image.fromarray(bits).save(file, "TIFF", compression="group4")
    np.testing.assert_array_equal(read(file.getvalue()).pixels[:, :, 0], bits * np.uint8(255))


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp_decodes_to_its_samples(channels: int) -> None:
    pixels = picture(31, 33, channels)
    raster = read(with_pillow(pixels, "WEBP", lossless=True, exact=True))
    np.testing.assert_array_equal(raster.pixels, pixels)
    assert raster.alpha == (channels == 4)


def test_damaged_pixels_are_refused() -> None:
    whole = with_pillow(picture(200, 200, 3), "JPEG", quality=95)
    png_file = with_pillow(picture(200, 200, 3), "PNG")
    body = png_file.index(b"IDAT") + 4
    size = int.from_bytes(png_file[body - 8 : body - 4], "big")
    halved = png_chunk(b"IDAT", png_file[body : body + size // 2]) + png_chunk(b"IEND", b"")
    short = png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    flipped = bytearray(png_file)
    flipped[body + size // 2] ^= 0xFF
    webp_file = with_pillow(picture(200, 200, 3), "WEBP")
    half = len(webp_file) // 4 * 2
    tiff = with_pillow(RGB, "TIFF", compression="tiff_adobe_deflate")
    assert tiff.count(b"x\x9c") == 1
    for data in (
        whole[: len(whole) // 2] + b"\xff\xd9",
        png_file[: body - 8] + halved,
        png_file[: body - 8] + short,
        bytes(flipped),
        b"RIFF" + struct.pack("<I", half - 8) + b"WEBPVP8 " + struct.pack("<I", half - 20) + webp_file[20:half],
        tiff.replace(b"x\x9c", b"\0\0", 1),
    ):
        with pytest.raises(CorruptImage):
            read(data)


def test_a_picture_of_another_size_than_its_header_is_refused() -> None:
    source = inspect(with_pillow(RGB, "PNG"), LIMITS)
    other = inspect(with_pillow(RGB[:40], "PNG"), LIMITS)
    object.__setattr__(source, "data", other.data)
    with pytest.raises(CorruptImage):
        decode(source)


def test_the_decoder_never_sees_metadata() -> None:
    assert LEAK not in jpeg.pixels_only(leaky_jpeg(RGB))
    assert LEAK not in png.pixels_only(leaky_png(RGB))
    assert LEAK not in webp.pixels_only(leaky_webp(RGB))


# --- encode ------------------------------------------------------------------------------------------------------

KINDS: list[tuple[ColorModel, bool, Depth]] = [
    (ColorModel.GRAY, False, np.uint8),
    (ColorModel.GRAY, True, np.uint8),
    (ColorModel.GRAY, False, np.uint16),
    (ColorModel.RGB, False, np.uint8),
    (ColorModel.RGB, True, np.uint8),
    (ColorModel.RGB, False, np.uint16),
    (ColorModel.RGB, True, np.uint16),
]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("color", "alpha", "dtype"), KINDS)
@pytest.mark.parametrize("to", [ImageFormat.PNG, ImageFormat.TIFF])
def test_lossless_formats_show_exactly_what_went_in(
    to: ImageFormat, color: ColorModel, alpha: bool, dtype: Depth, orientation: int
) -> None:
    pixels = picture(20, 30, color.channels + alpha, dtype)
    data = checked(Raster(pixels, color, alpha, orientation), to)
    seen = shown(data)
    np.testing.assert_array_equal(seen, upright_view(pixels, orientation))
    assert seen.dtype == dtype
    again = read(data)
    np.testing.assert_array_equal(again.upright, upright_view(pixels, orientation))
    assert (again.color, again.alpha) == (color, alpha)
    assert again.pixels.dtype == dtype


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("color", [ColorModel.GRAY, ColorModel.RGB, ColorModel.CMYK])
def test_jpeg_shows_what_went_in(color: ColorModel, orientation: int) -> None:
    pixels = picture(40, 56, color.channels)
    data = checked(Raster(pixels, color, False, orientation), ImageFormat.JPEG)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (56, 40), "stored as they came, with the tag"
        assert image.mode == {"gray": "L", "rgb": "RGB", "cmyk": "CMYK"}[color]
        assert dict(image.getexif()) == ({0x0112: orientation} if orientation > 1 else {})
    assert np.abs(shown(data).astype(int) - upright_view(pixels, orientation)).mean() < CLOSE
    again = read(data)
    assert np.abs(again.upright.astype(int) - upright_view(pixels, orientation)).mean() < CLOSE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_webp_shows_what_went_in(orientation: int, alpha: bool, lossless: bool) -> None:
    pixels = picture(40, 56, 3 + alpha)
    raster = Raster(pixels, ColorModel.RGB, alpha, orientation, lossless=lossless)
    seen = shown(checked(raster, ImageFormat.WEBP))
    if lossless:
        np.testing.assert_array_equal(seen, upright_view(pixels, orientation))
    else:
        assert np.abs(seen.astype(int) - upright_view(pixels, orientation)).mean() < 2 * CLOSE


@pytest.mark.parametrize("leaky", [leaky_jpeg, leaky_png, leaky_webp, leaky_tiff])
@pytest.mark.parametrize("to", WRITTEN)
def test_nothing_comes_along_but_the_whitelist(leaky: Any, to: ImageFormat) -> None:
    source = leaky(picture(48, 64, 3))
    assert LEAK in source
    raster = read(source)
    data = checked(raster, to)
    for needle in (LEAK, b"MakerNote", b"8BIM", b"MPF\0", b"JFXX", b"ftyp", b"Thumbnails", b"tIME", b"GCamera"):
        assert needle not in data[12:]  # an AVIF file begins with ftyp itself
    with Image.open(io.BytesIO(data)) as image:
        if to is ImageFormat.BMP:  # which holds a profile that Pillow does not read, and no XMP
            assert data.endswith(srgb_profile())
            return
        assert image.info["icc_profile"] == srgb_profile()
        exif = image.getexif()
        assert not exif.get_ifd(0x8769)
        assert not exif.get_ifd(0x8825)
        assert getattr(image, "n_frames", 1) == 1
        packet = image.info.get("xmp") or image.tag_v2[700]  # type: ignore[attr-defined]
        assert b'GPano:ProjectionType="equirectangular"' in packet
        if to is ImageFormat.JPEG:
            assert not exif.get_ifd(1)  # IFD1: the thumbnail
            assert dict(exif) == {0x0112: 6}
    assert shown(data).shape[:2] == (64, 48)


@pytest.mark.parametrize("to", [each for each in WRITTEN if each is not ImageFormat.BMP])
def test_large_profiles_survive_byte_for_byte(to: ImageFormat) -> None:
    profile = profile_for(b"RGB ", 300_000)
    profile = profile[:128] + np.random.default_rng(1).bytes(len(profile) - 128)
    data = checked(Raster(picture(8, 8, 3), ColorModel.RGB, False, icc=profile), to)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize("to", WRITTEN)
def test_equal_input_gives_equal_bytes(to: ImageFormat) -> None:
    first, second = (checked(read(leaky_jpeg(RGB)), to) for _ in range(2))
    assert first == second


def test_quality_and_chroma_of_jpeg() -> None:
    raster = read(with_pillow(picture(200, 200, 3), "JPEG", quality=95, subsampling="4:2:0"))
    assert len(checked(raster, ImageFormat.JPEG, 50)) < len(checked(raster, ImageFormat.JPEG, 95))
    for subsampling, layers in (("4:2:0", (2, 2)), ("4:4:4", (1, 1))):
        raster = read(with_pillow(RGB, "JPEG", subsampling=subsampling))
        with Image.open(io.BytesIO(checked(raster, ImageFormat.JPEG))) as image:
            assert image.layer[0][1:3] == layers  # type: ignore[attr-defined]


@pytest.mark.parametrize("to", [ImageFormat.JPEG, ImageFormat.WEBP])
def test_16_bits_become_8_by_rounding(to: ImageFormat) -> None:
    wide = picture(64, 64, 3, np.uint16)
    seen = shown(checked(Raster(wide, ColorModel.RGB, False, lossless=True), to))
    expected = np.rint(wide / 65535 * 255)
    assert np.abs(seen - expected).max() <= (0 if to is ImageFormat.WEBP else 16)


def test_alpha_is_flattened_on_white_for_jpeg() -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, 16:, 3] = 255
    seen = shown(checked(Raster(pixels, ColorModel.RGB, True), ImageFormat.JPEG))
    assert seen[:, :12].min() > 245
    assert seen[:, 20:].max() < 10
    ink = np.full((32, 32, 5), 255, np.uint8)
    ink[:, :16, 4] = 0
    paper = shown(checked(Raster(ink, ColorModel.CMYK, True), ImageFormat.JPEG))
    assert paper[:, :12].max() < 10


def test_gray_becomes_rgb_in_webp_and_keeps_its_alpha() -> None:
    gray = picture(40, 40, 1)
    seen = shown(checked(Raster(gray, ColorModel.GRAY, False, lossless=True), ImageFormat.WEBP))
    np.testing.assert_array_equal(seen, gray.repeat(3, axis=2))
    both = picture(40, 40, 2)
    seen = shown(checked(Raster(both, ColorModel.GRAY, True, lossless=True), ImageFormat.WEBP))
    np.testing.assert_array_equal(seen, both[:, :, [0, 0, 0, 1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("icc", [None, profile_for(b"CMYK")])
@pytest.mark.parametrize("to", [ImageFormat.PNG, ImageFormat.WEBP])
def test_cmyk_becomes_srgb_without_its_profile(to: ImageFormat, icc: bytes | None, dtype: Depth) -> None:
    ink = np.zeros((8, 8, 4), dtype)
    ink[:4, :, 3] = np.iinfo(dtype).max
    ink[4:, :, 0] = np.iinfo(dtype).max
    data = checked(Raster(ink, ColorModel.CMYK, False, icc=icc, lossless=True), to)
    seen = shown(data) / (257 if shown(data).dtype == np.uint16 else 1)
    assert seen[:4].max() < 70, "black ink"
    assert seen[4:, :, 0].max() < 70, "cyan takes red away"
    assert seen[4:, :, 2].min() > 150
    with Image.open(io.BytesIO(data)) as image:
        assert image.info.get("icc_profile") is None


def test_a_gray_profile_that_is_damaged_inside_is_left_out() -> None:
    gray = np.full((8, 8, 1), 128, np.uint8)
    data = checked(Raster(gray, ColorModel.GRAY, False, icc=profile_for(b"GRAY"), lossless=True), ImageFormat.WEBP)
    np.testing.assert_array_equal(shown(data), gray.repeat(3, axis=2))


def test_srgb_profile_is_the_one_that_pillow_reads() -> None:
    data = checked(Raster(RGB, ColorModel.RGB, False, icc=srgb_profile()), ImageFormat.PNG)
    with Image.open(io.BytesIO(data)) as image:
        assert "sRGB" in ImageCms.getProfileDescription(io.BytesIO(image.info["icc_profile"]))


@pytest.mark.parametrize(
    ("to", "side"), [(ImageFormat.WEBP, 16_384), (ImageFormat.JPEG, 65_501), (ImageFormat.AVIF, 16_385)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_side_too_long_for_the_format_is_refused(to: ImageFormat, side: int, turned: bool) -> None:
    shape = (side, 1, 3) if turned else (1, side, 3)
    with pytest.raises(InvalidRequest) as refused:
        encode(untouched(Raster(np.zeros(shape, np.uint8), ColorModel.RGB, False)), to, 95)
    assert refused.value.problems[0].pointer == "/format"
    fits = Raster(np.zeros((1, side - 1, 3), np.uint8), ColorModel.RGB, False)
    assert checked(fits, to)


@pytest.mark.parametrize("to", [ImageFormat.JPEG, ImageFormat.PNG, ImageFormat.TIFF])
def test_pixel_density_stays_with_its_axis(to: ImageFormat) -> None:
    data = with_tifffile(RGB, resolution=(300, 150), resolutionunit=2, extratags=[(274, "H", 1, 6, True)])
    with Image.open(io.BytesIO(checked(read(data), to))) as image:
        across, down = (round(float(value)) for value in image.info["dpi"])
    assert (across, down) == ((300, 150) if to is ImageFormat.JPEG else (150, 300))


# --- libvips as it is set up -------------------------------------------------------------------------------------


def test_libvips_knows_the_formats_it_is_for_and_keeps_nothing(tmp_path: Path) -> None:
    assert pyvips.concurrency_get() == 1
    assert pyvips.cache_get_max() == 0
    there = tmp_path / "there.png"
    there.write_bytes(with_pillow(RGB, "PNG"))
    for operation, argument in (
        ("gifload_buffer", with_pillow(RGB, "GIF")),
        ("svgload_buffer", b"<svg xmlns='http://www.w3.org/2000/svg' width='4' height='4'/>"),
        ("pngload", str(there)),
    ):
        with pytest.raises(pyvips.Error, match="blocked"):
            pyvips.Operation.call(operation, argument)
    with pytest.raises(pyvips.Error, match="blocked"):
        pyvips.Image.black(4, 4).pngsave(str(tmp_path / "new.png"))
    assert not (tmp_path / "new.png").exists()


SETUP = """
    import io, os, resource, sys
    import numpy as np
    from service.imaging.codec import decode, encode
    from service.imaging.formats import WRITTEN, ImageFormat
    from service.imaging.masking import Mask
    from service.imaging.obscuring import obscure
    from service.imaging.source import SourceLimits, inspect

    def through(data, to):
        raster = decode(inspect(data, SourceLimits(200_000_000, 65_500)))
        return encode(obscure(raster, Mask((), (), raster.width, raster.height), b"secret"), to, 95)
"""


def in_a_process_of_its_own(script: str, data: bytes, **environment: str) -> str:
    """What `script`, after SETUP, prints; it reads `data` from its standard input."""
    code = textwrap.dedent(SETUP) + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=False, env={"PATH": "", **environment}
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


NO_WRITES = """
    data = sys.stdin.buffer.read()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        with open(os.environ["PROBE"], "wb", buffering=0) as file:
            file.write(b"x")
        print("writable")
    except OSError:
        print("no file can be written")
    before = sorted(os.listdir("/proc/self/fd"))
    for to in WRITTEN:
        through(data, to)
    print(sorted(os.listdir("/proc/self/fd")) == before)
"""


@functools.cache
def large_files() -> dict[str, bytes]:
    pixels = picture(800, 1200, 3)
    file = io.BytesIO()
    image = pyvips.Image.new_from_memory(pixels, 1200, 800, 3, "uchar").copy(interpretation="srgb")
    file.write(image.pngsave_buffer(interlace=True))
    return {
        "baseline": with_pillow(pixels, "JPEG"),
        "progressive": with_pillow(pixels, "JPEG", progressive=True),
        "interlaced": file.getvalue(),
        "png": with_pillow(pixels, "PNG", compress_level=1),
        "webp": with_pillow(pixels, "WEBP", method=0),
        "tiled": with_tifffile(pixels, tile=(256, 256)),
        "one strip": with_tifffile(pixels, rowsperstrip=800),
        "planes": with_tifffile(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)), planarconfig="separate"),
        "heic": heic(pixels, tile_size=512),
        "avif": with_pillow(pixels, "AVIF", speed=10),
        "jp2": jp2(pixels),
        "bmp": with_pillow(pixels, "BMP"),
        "runs": bmp(bytes([200, 1] * 6 + [0, 0]) * 800, 1200, 800, 8, compression=1, palette=bytes(1024)),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("baseline", "progressive", "interlaced", "png", "webp", "tiled", "one strip", "planes"),
        *("heic", "avif", "jp2", "bmp", "runs"),
    ],
)
def test_no_pixel_touches_the_disk(name: str, tmp_path: Path) -> None:
    """libvips is told to spill everything over one byte, and no file may grow: any write to disk would fail."""
    environment = {"VIPS_DISC_THRESHOLD": "1", "TMPDIR": str(tmp_path), "PROBE": str(tmp_path / "probe")}
    answer = in_a_process_of_its_own(NO_WRITES, large_files()[name], **environment)
    assert answer.split("\n")[:2] == ["no file can be written", "True"]
    assert [each.name for each in tmp_path.iterdir()] == ["probe"]


@pytest.mark.slow
def test_memory_of_12_megapixels() -> None:
    """Peak over what the process had before, with the pixels themselves being 36 MB."""
    noisy = picture(3000, 4000, 3) // 2 + np.random.default_rng(0).integers(0, 60, (3000, 4000, 3), np.uint8)
    # Not by getrusage: it counts what the process was, a copy of this one, before it became that program.
    script = """
        import pathlib, re
        peak = lambda: int(re.search("VmHWM:[^0-9]*([0-9]+) kB", pathlib.Path("/proc/self/status").read_text())[1])
        data = sys.stdin.buffer.read()
        before = peak()
        through(data, ImageFormat.JPEG)
        print((peak() - before) // 1024)
    """
    assert int(in_a_process_of_its_own(script, with_pillow(noisy, "JPEG", quality=95))) < 150
