"""HEIC and AVIF: pixels as libheif and libavif show them, one picture of one file, and nothing beside it."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image, ImageCms

from service.errors import CorruptImage, OutputRefused, TooManyPixels, UnsupportedFormat, UnsupportedFrames
from service.imaging.cicp import profile_for as profile_for_code_points
from service.imaging.codec import decode, encode
from service.imaging.containers import av1, heif
from service.imaging.containers.bits import BitReader
from service.imaging.formats import ImageFormat
from service.imaging.masking import Mask
from service.imaging.obscuring import Composite, obscure
from service.imaging.raster import ColorModel, Raster, upright_view
from service.imaging.source import SourceLimits, inspect
from service.imaging.verify import verify
from service.policy import MetadataMode, MetadataPolicy
from tests.images import LEAK, picture, srgb_profile, with_pillow
from tests.stills import EXACT, heic, heic_by_libheif, isobmff, leaky_avif, leaky_heic, read_by_pillow

LIMITS = SourceLimits(max_pixels=50_000_000, max_side=65_500)
RGB = picture(48, 64, 3)
DEPTH_STEP = {8: 0, 10: 63, 12: 15}
CLOSE = 4
"""Mean difference in 8-bit steps between a smooth picture and itself after lossy coding at high quality."""


def read(data: bytes) -> Raster:
    return decode(inspect(data, LIMITS))


def untouched(raster: Raster) -> Composite:
    """`raster` with a mask that hides nothing."""
    return obscure(raster, Mask((), (), raster.width, raster.height), b"secret")


def avif(raster: Raster, keep: MetadataPolicy | None = None) -> bytes:
    """`raster` encoded, and through the output's own check."""
    composite = untouched(raster)
    data = encode(composite, ImageFormat.AVIF, 95, keep or MetadataPolicy())
    verify(data, ImageFormat.AVIF, composite, keep or MetadataPolicy())
    return data


def mean_difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    return float(np.abs(one.astype(np.float64) - other).mean())


# --- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_heic_decodes_to_its_samples(channels: int, dtype: type[np.uint8] | type[np.uint16]) -> None:
    pixels = picture(48, 64, channels, dtype)
    raster = read(heic(pixels))
    assert raster.pixels.dtype == dtype
    assert raster.precision == (8 if dtype is np.uint8 else 10)
    assert raster.color is (ColorModel.GRAY if channels < 3 else ColorModel.RGB)
    assert raster.alpha == (channels in (2, 4))
    assert np.abs(raster.pixels.astype(int) - pixels).max() <= DEPTH_STEP[raster.precision]
    assert raster.pixels.flags.writeable
    assert raster.pixels.flags.c_contiguous


def test_the_samples_of_10_bits_are_spread_over_16() -> None:
    white = read(heic(np.full((16, 16, 3), 65_535, np.uint16)))
    assert white.pixels.min() == 65_535


@pytest.mark.parametrize("options", [{"chroma": 420, "matrix_coefficients": 6}, {"chroma": 422}, {"quality": 90}])
def test_lossy_heic_is_what_libheif_shows(options: dict[str, Any]) -> None:
    data = heic(RGB, **({"quality": 95, "matrix_coefficients": 6} | options))
    np.testing.assert_array_equal(read(data).pixels, heic_by_libheif(data))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("options", [{"subsampling": "4:4:4"}, {"subsampling": "4:2:0"}, {"quality": 100}])
def test_avif_is_what_libavif_shows(mode: str, options: dict[str, Any]) -> None:
    pixels = picture(48, 64, len(mode))
    data = with_pillow(pixels, "AVIF", **({"quality": 90} | options))
    raster = read(data)
    assert raster.alpha == (mode == "RGBA")
    assert mean_difference(raster.pixels, read_by_pillow(data, mode)) < CLOSE


def test_avif_that_lost_nothing_is_known_for_it() -> None:
    gray = RGB[:, :, :1]
    raster = read(with_pillow(gray, "AVIF", quality=100))
    np.testing.assert_array_equal(raster.pixels, gray)
    assert raster.lossless
    assert not read(with_pillow(gray, "AVIF", quality=99)).lossless
    again = read(avif(raster))
    assert again.lossless
    np.testing.assert_array_equal(again.pixels, gray.repeat(3, axis=2))
    # libavif rounds on its way between RGB and YCbCr, so its best is not quite without loss.
    assert not read(with_pillow(RGB, "AVIF", quality=100, subsampling="4:4:4")).lossless


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_keeps_samples_as_deep_as_they_were(bits: int, channels: int) -> None:
    pixels = picture(48, 64, channels, np.uint8 if bits == 8 else np.uint16)
    raster = Raster(pixels, ColorModel.RGB, channels == 4, lossless=True, precision=bits)
    again = read(avif(raster))
    assert (again.precision, again.lossless, again.alpha) == (bits, True, channels == 4)
    assert np.abs(again.pixels.astype(int) - pixels).max() <= DEPTH_STEP[bits]
    third = read(avif(again))
    np.testing.assert_array_equal(third.pixels, again.pixels)
    assert mean_difference(read_by_pillow(avif(again)), pixels / (1 if bits == 8 else 257)) < 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("leaky", [leaky_heic, leaky_avif])
def test_pictures_are_turned_once(leaky: Callable[..., bytes], orientation: int) -> None:
    """Both files say it twice: in their own properties, which count, and in EXIF."""
    data = leaky(RGB, orientation)
    source = inspect(data, LIMITS)
    assert source.orientation == orientation
    raster = decode(source)
    expected = upright_view(RGB, orientation)
    assert (source.width, source.height) == expected.shape[1::-1]
    assert mean_difference(raster.upright, expected) < CLOSE
    assert mean_difference(read(avif(raster)).upright, expected) < CLOSE


def test_an_orientation_in_exif_alone_does_not_count() -> None:
    data = heic(RGB)
    turned = Image.Exif()
    turned[0x0112] = 6
    image = pillow_heif.from_bytes("RGB", (64, 48), RGB.tobytes())
    out = io.BytesIO()
    image.save(out, exif=turned.tobytes(), **EXACT)
    upright = out.getvalue().replace(b"irot\x03", b"irot\x00")
    assert upright != out.getvalue()
    assert inspect(upright, LIMITS).orientation == 1
    np.testing.assert_array_equal(read(upright).pixels, read(data).pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_of_tiles_is_one_picture(channels: int) -> None:
    pixels = picture(150, 200, channels)
    data = heic(pixels, tile_size=64)
    assert data.count(b"hvc1") == 12
    assert b"grid" in data
    np.testing.assert_array_equal(read(data).pixels, pixels)


def test_a_crop_is_cropped() -> None:
    data = heic(picture(64, 64, 3))
    crop = isobmff(b"clap", struct.pack(">IIIIiIiI", 40, 1, 20, 1, -4, 2, 6, 2))
    cropped = with_property(data, crop)
    source = inspect(cropped, LIMITS)
    assert (source.width, source.height) == (40, 20)
    expected = heic_by_libheif(cropped)
    assert expected.shape == (20, 40, 3)
    np.testing.assert_array_equal(read(cropped).pixels, expected)


@pytest.mark.parametrize(
    "values", [(66, 1, 20, 1, 0, 1, 0, 1), (40, 0, 20, 1, 0, 1, 0, 1), (40, 1, 20, 1, 99, 1, 0, 1)]
)
def test_a_crop_that_does_not_fit_is_refused(values: tuple[int, ...]) -> None:
    with pytest.raises(CorruptImage):
        inspect(with_property(heic(picture(64, 64, 3)), isobmff(b"clap", struct.pack(">IIIIiIiI", *values))), LIMITS)


def with_property(data: bytes, box: bytes, *, essential: bool = False) -> bytes:
    """`data`, a file by libheif with its meta box before its content, with one more property of its first item."""
    at = data.index(b"ipma") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    ipma = bytearray(data[at : at + size])
    number = len(properties_of(data)) + 1
    ipma[18] += 1
    place = 19 + ipma[18] - 1
    ipma[place:place] = bytes([number | essential << 7])
    ipma[:4] = struct.pack(">I", len(ipma))
    changed = data[:at] + box + bytes(ipma) + data[at + size :]
    grown = bytearray(changed)
    for name, by in ((b"ipco", len(box)), (b"iprp", len(box) + 1), (b"meta", len(box) + 1)):
        start = data.index(name) - 4
        struct.pack_into(">I", grown, start, int.from_bytes(grown[start : start + 4], "big") + by)
    return moved(bytes(grown), len(box) + 1)


def properties_of(data: bytes) -> list[bytes]:
    at = data.index(b"ipco") - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    found, at = [], at + 8
    while at < end:
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at : at + size])
        at += size
    return found


def moved(data: bytes, by: int) -> bytes:
    """`data` with every item `by` bytes further on (one extent each, as libheif and the service write)."""
    out = bytearray(data)
    start = data.index(b"iloc")
    version, count = data[start + 4], int.from_bytes(data[start + 10 : start + 12], "big")
    assert data[start + 8 : start + 10] in (b"\x44\0", b"\x44\x40")
    base = data[start + 9] >> 4
    at = start + 12
    for _ in range(count):
        at += 2 + (2 if version else 0) + 2 + base + 2
        struct.pack_into(">I", out, at, int.from_bytes(out[at : at + 4], "big") + by)
        at += 8
    return bytes(out)


def test_premultiplied_alpha_is_divided_out() -> None:
    pixels = picture(48, 64, 4)
    pixels[:, :, 3] = 128 + pixels[:, :, 3] // 2
    multiplied = np.rint(pixels[:, :, :3] * (pixels[:, :, 3:] / 255)).astype(np.uint8)
    file = io.BytesIO()
    image = np.dstack([multiplied, pixels[:, :, 3]])
    pillow_heif.encode("RGBa", (64, 48), image.tobytes(), file, **EXACT)
    assert b"prem" in file.getvalue()
    raster = read(file.getvalue())
    assert np.abs(raster.pixels.astype(int) - pixels).max() <= 2


def test_profiles_stay_and_code_points_become_one() -> None:
    profiled = read(leaky_heic(RGB))
    assert profiled.icc == srgb_profile()
    with Image.open(io.BytesIO(avif(profiled))) as image:
        assert image.info["icc_profile"] == srgb_profile()
    display_p3 = read(heic(RGB, color_primaries=12, transfer_characteristics=13))
    assert display_p3.icc is not None
    profile = ImageCms.ImageCmsProfile(io.BytesIO(display_p3.icc)).profile
    assert profile.red_colorant is not None
    # Apple's own Display P3 profile has these colorants (XYZ under D50).
    np.testing.assert_allclose(profile.red_colorant[0], (0.5151, 0.2412, -0.0011), atol=0.0005)
    np.testing.assert_allclose(profile.green_colorant[0], (0.2920, 0.6922, 0.0419), atol=0.0005)
    np.testing.assert_allclose(profile.blue_colorant[0], (0.1571, 0.0666, 0.7841), atol=0.0005)
    assert read(heic(RGB, color_primaries=1, transfer_characteristics=13)).icc is None


def test_the_profile_of_code_points_is_a_profile() -> None:
    """Little CMS takes its sRGB for sRGB: a change of color space that changes nothing."""
    like_srgb = profile_for_code_points(9, 13, ColorModel.RGB)
    assert like_srgb is not None
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(like_srgb)), "RGB", "RGB"
    )
    gray = Image.new("RGB", (1, 1), (128, 128, 128))
    changed = ImageCms.applyTransform(gray, transform)
    assert changed is not None
    assert max(abs(v - 128) for v in changed.getpixel((0, 0))) <= 1  # type: ignore[union-attr]
    red = ImageCms.applyTransform(Image.new("RGB", (1, 1), (255, 0, 0)), transform)
    assert red is not None
    assert red.getpixel((0, 0))[0] < 210  # type: ignore[index]


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_refused(transfer: int) -> None:
    with pytest.raises(UnsupportedFormat, match="high dynamic range"):
        inspect(heic(picture(48, 64, 3, np.uint16), color_primaries=9, transfer_characteristics=transfer), LIMITS)


# --- one picture and no other -------------------------------------------------------------------------------------


def test_more_pictures_than_one_are_refused() -> None:
    burst = pillow_heif.from_bytes("RGB", (64, 48), RGB.tobytes())
    burst.add_frombytes("RGB", (64, 48), RGB[::-1].tobytes())
    out = io.BytesIO()
    burst.save(out, **EXACT)
    film = with_pillow(RGB, "AVIF", save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])
    for data in (out.getvalue(), film):
        with pytest.raises(UnsupportedFrames):
            inspect(data, LIMITS)


@pytest.mark.parametrize("leaky", [leaky_heic, leaky_avif])
def test_nothing_beside_the_pixels_reaches_the_decoder_or_the_output(leaky: Callable[..., bytes]) -> None:
    data = leaky(RGB)
    assert data.count(LEAK) > 3
    alone = heif.pixels_only(data)
    for needle in (LEAK, b"Exif", b"mime", b"thmb", b"mpvd", b"free", b"irot", b"prof"):
        assert needle not in alone
    raster = read(data)
    assert raster.exif is not None
    output = avif(raster)
    for needle in (LEAK, b"Exif", b"thmb", b"MakerNote", b"Thumbnails", b"GCamera"):
        assert needle not in output
    with Image.open(io.BytesIO(output)) as image:
        assert b'GPano:ProjectionType="equirectangular"' in image.info["xmp"]
        assert not dict(image.getexif())


def test_avif_carries_the_metadata_that_a_policy_keeps() -> None:
    raster = read(leaky_avif(RGB, 6))
    data = avif(raster, MetadataPolicy(mode=MetadataMode.GEO))
    assert LEAK not in data
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        assert exif.get_ifd(0x8825)
        assert exif.get(0x0112, 1) == 1
        assert not exif.get_ifd(1)


# --- bounds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_limits_hold_by_the_header(kind: str) -> None:
    square = picture(64, 64, 3)
    data = heic(square) if kind == "HEIC" else with_pillow(square, "AVIF")
    size = struct.pack(">II", 64, 64)
    assert data.count(size) == 1
    with pytest.raises(TooManyPixels):
        inspect(data.replace(size, struct.pack(">II", 10_000, 10_000)), LIMITS)
    with pytest.raises(CorruptImage):
        inspect(data.replace(size, bytes(8)), LIMITS)


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_a_bitstream_larger_than_it_says_is_refused_before_decoding(kind: str) -> None:
    large = picture(512, 512, 3)
    data = heic(large) if kind == "HEIC" else with_pillow(large, "AVIF")
    size = struct.pack(">II", 512, 512)
    with pytest.raises(CorruptImage) as refused:
        inspect(data.replace(size, struct.pack(">II", 64, 64)), LIMITS)
    assert "larger" in (refused.value.cause or "")


def test_a_second_coded_picture_in_one_item_is_refused() -> None:
    """Films of tiny frames would otherwise be decoded one after the other."""
    data = heic(RGB)
    still = heif.read_still(data)
    content = still.items.content(still.color.item)
    doubled = data.replace(content, content * 2).replace(
        struct.pack(">I", len(content)), struct.pack(">I", 2 * len(content))
    )
    with pytest.raises(CorruptImage) as refused:
        read(doubled)
    assert "coded pictures" in (refused.value.cause or "")
    units = av1.read_units(content := av1_content(with_pillow(RGB, "AVIF")))
    frame = next(each for each in units if each.kind == av1.FRAME)
    with pytest.raises(UnsupportedFormat):
        av1.read_picture(content + content[frame.start : frame.end])


def av1_content(data: bytes) -> bytes:
    still = heif.read_still(data)
    return still.items.content(still.color.item)


@pytest.mark.parametrize("size", [(64, 48), (65, 33), (4097, 64), (5000, 1200), (1024, 9300)])
@pytest.mark.parametrize("options", [{}, {"tile_rows": 1, "tile_cols": 2}])
@pytest.mark.parametrize(("quality", "base"), [(40, 172), (80, 60), (100, 0)])
def test_av1_headers_are_read_right(size: tuple[int, int], options: dict[str, Any], quality: int, base: int) -> None:
    """base_q_idx is behind all that varies with size and tiles, and libavif ties it to the quality alone."""
    data = with_pillow(np.zeros((size[1], size[0], 1), np.uint8), "AVIF", quality=quality, speed=9, **options)
    content = av1_content(data)
    coded, _ = av1.read_picture(content)
    assert (coded.width, coded.height, coded.bit_depth, coded.monochrome) == (*size, 8, True)
    assert coded.lossless == (base == 0)
    header, frame = (each for each in av1.read_units(content) if each.kind in (av1.SEQUENCE_HEADER, av1.FRAME))
    sequence = av1._read_sequence(BitReader(content[header.payload : header.end]))
    assert av1._base_quantizer(BitReader(content[frame.payload : frame.end][:128]), sequence) == base


def test_an_essential_property_that_is_not_understood_is_refused() -> None:
    with pytest.raises(UnsupportedFormat):
        inspect(with_property(heic(RGB), isobmff(b"what", b"ever"), essential=True), LIMITS)
    assert inspect(with_property(heic(RGB), isobmff(b"what", b"ever")), LIMITS).width == 64


# --- the output's own check ---------------------------------------------------------------------------------------

PLAIN = Raster(RGB, ColorModel.RGB, False, icc=srgb_profile())
WHOLE = Raster(picture(48, 64, 4), ColorModel.RGB, True)


def hidden_in_content(data: bytes) -> bytes:
    """`data` with bytes in its last box that belong to no item."""
    at = data.index(b"mdat") - 4
    return data[:at] + isobmff(b"mdat", data[at + 8 :], b"hidden")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\0",
        lambda data: data + isobmff(b"free", b"hidden"),
        lambda data: isobmff(b"ftyp", b"avif\0\0\0\0avifmif1miaf") + data,
        lambda data: data.replace(b"avifmif1miaf", b"avifmif1LEAK"),
        lambda data: data.replace(struct.pack(">II", 64, 48), struct.pack(">II", 48, 64)),
        lambda data: with_property(data_by_bytes(data), isobmff(b"uuid", b"hidden")),
        lambda data: data.replace(b"colrprof", b"colrrICC"),
        lambda data: data.replace(srgb_profile(), srgb_profile()[:-1] + b"!"),
        lambda data: data[:-1],
        hidden_in_content,
    ],
)
def test_what_is_not_accounted_for_is_refused(change: Callable[[bytes], bytes]) -> None:
    composite = untouched(PLAIN)
    data = encode(composite, ImageFormat.AVIF, 95)
    verify(data, ImageFormat.AVIF, composite)
    changed = change(data)
    assert changed != data
    with pytest.raises(OutputRefused):
        verify(changed, ImageFormat.AVIF, composite)


def data_by_bytes(data: bytes) -> bytes:
    """`data` with associations of one byte each, as `with_property` wants them."""
    at = data.index(b"ipma") - 4
    ipma = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    numbers = [ipma[i] & 0x80 | ipma[i + 1] for i in range(19, len(ipma), 2)]
    narrow = ipma[4:11] + b"\0" + ipma[12:19] + bytes(numbers)
    narrow = struct.pack(">I", len(narrow) + 4) + narrow
    by = len(narrow) - len(ipma)
    out = bytearray(data[:at] + narrow + data[at + len(ipma) :])
    for name in (b"iprp", b"meta"):
        start = data.index(name) - 4
        struct.pack_into(">I", out, start, int.from_bytes(out[start : start + 4], "big") + by)
    start = data.index(b"iloc") + 12
    struct.pack_into(">I", out, start + 6, int.from_bytes(out[start + 6 : start + 10], "big") + by)
    return bytes(out)


def test_the_changes_above_leave_readable_files() -> None:
    data = data_by_bytes(encode(untouched(PLAIN), ImageFormat.AVIF, 95))
    assert read(with_property(data, isobmff(b"uuid", b"hidden"))).pixels.shape == (48, 64, 3)


def test_alpha_is_the_one_other_picture_that_may_be() -> None:
    with_alpha = encode(untouched(WHOLE), ImageFormat.AVIF, 95)
    verify(with_alpha, ImageFormat.AVIF, untouched(WHOLE))
    with pytest.raises(OutputRefused):
        verify(with_alpha.replace(b"auxl", b"thmb"), ImageFormat.AVIF, untouched(WHOLE))
    with pytest.raises(OutputRefused):
        verify(heic(RGB), ImageFormat.AVIF, untouched(WHOLE))
