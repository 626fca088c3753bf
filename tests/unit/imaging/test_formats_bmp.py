"""BMP of every generation: pixels as Pillow shows them, or as the file says where Pillow does not read it."""

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from service.errors import CorruptImage, OutputRefused, TooManyPixels, UnsupportedFormat
from service.imaging.codec import decode, encode
from service.imaging.formats import ImageFormat
from service.imaging.masking import Mask
from service.imaging.obscuring import Composite, obscure
from service.imaging.raster import ColorModel, Raster, upright_view
from service.imaging.source import SourceLimits, inspect
from service.imaging.verify import verify
from tests.images import LEAK, picture, srgb_profile, with_pillow
from tests.stills import bmp, read_by_pillow

LIMITS = SourceLimits(max_pixels=1_000_000, max_side=65_500)
RGB = picture(21, 30, 3)
RAMP = b"".join(struct.pack("BBBx", i, i, i) for i in range(256))
COLORS = b"".join(struct.pack("BBBx", i, 255 - i, i // 2) for i in range(256))


def read(data: bytes) -> Raster:
    return decode(inspect(data, LIMITS))


def untouched(raster: Raster) -> Composite:
    """`raster` with a mask that hides nothing."""
    return obscure(raster, Mask((), (), raster.width, raster.height), b"secret")


def padded(rows: npt.NDArray[Any], *, top_down: bool = False) -> bytes:
    """Rows (H, bytes) as they are in a file: last one first, each filled up to four bytes."""
    filled = np.pad(rows.view(np.uint8).reshape(rows.shape[0], -1), ((0, 0), (0, -rows[0].nbytes % 4)))
    return (filled if top_down else filled[::-1]).tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_what_pillow_writes(mode: str) -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).convert(mode).save(file, "BMP")
    raster = read(file.getvalue())
    expected = "L" if mode in ("1", "L") else "RGB"  # a fourth byte that no mask explains is no alpha
    np.testing.assert_array_equal(raster.pixels, read_by_pillow(file.getvalue(), expected))
    assert raster.color is (ColorModel.GRAY if expected == "L" else ColorModel.RGB)
    assert not raster.alpha
    assert raster.lossless


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("width", [1, 7, 16, 33])
@pytest.mark.parametrize("size", [12, 40, 108, 124])
def test_palettes(bits: int, width: int, size: int) -> None:
    values = (np.arange(5 * width) * 7 % (1 << bits)).astype(np.uint8).reshape(5, width)
    spread = np.unpackbits(values[:, :, None], axis=2)[:, :, 8 - bits :].reshape(5, -1)
    rows = np.packbits(spread, axis=1)
    table = COLORS[: 4 << bits] if size > 12 else b"".join(COLORS[i : i + 3] for i in range(0, 4 << bits, 4))
    data = bmp(padded(rows), width, 5, bits, palette=table, size=size)
    np.testing.assert_array_equal(read(data).pixels, read_by_pillow(data, "RGB"))


MASKS = [
    (16, 0, ()),
    (16, 3, (0x7C00, 0x03E0, 0x001F)),
    (16, 3, (0xF800, 0x07E0, 0x001F)),
    (32, 0, ()),
    (32, 3, (0xFF0000, 0xFF00, 0xFF)),
    (32, 3, (0xFF, 0xFF00, 0xFF0000)),
    (32, 6, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
]


@pytest.mark.parametrize(("bits", "compression", "masks"), MASKS)
@pytest.mark.parametrize("top_down", [False, True])
def test_direct_colors(bits: int, compression: int, masks: tuple[int, ...], top_down: bool) -> None:
    noise = np.random.default_rng(1).integers(0, 1 << bits, (9, 13), np.uint64).astype(f"<u{bits // 8}")
    rows = padded(noise, top_down=top_down)
    data = bmp(rows, 13, -9 if top_down else 9, bits, compression=compression, masks=masks)
    raster = read(data)
    shifts = masks or ((0x7C00, 0x03E0, 0x001F) if bits == 16 else (0xFF0000, 0xFF00, 0xFF))
    assert raster.alpha == (len(shifts) == 4)
    for band, mask in enumerate(shifts):
        low = mask & -mask
        exact = ((noise & noise.dtype.type(mask)) // noise.dtype.type(low)) * (255 / (mask // low))
        np.testing.assert_array_equal(raster.pixels[:, :, band], np.rint(exact))
    if compression != 6 and masks != (0xFF, 0xFF00, 0xFF0000):  # which Pillow does not read
        seen = read_by_pillow(data, "RGB").astype(int)
        assert np.abs(raster.pixels[:, :, :3] - seen).max() <= 1  # Pillow rounds down


@pytest.mark.parametrize("bits", [4, 8])
def test_run_lengths(bits: int) -> None:
    """Runs, literals, ends of lines; every pixel is covered, as what is not is anybody's guess."""
    if bits == 8:
        rows = bytes([16, 7, 0, 0, 3, 1, 0, 5, 9, 8, 7, 6, 5, 0, 8, 2, 0, 0, 0, 16, *range(16), 0, 0, 16, 200, 0, 1])
    else:
        rows = bytes([16, 0x7A, 0, 0, 3, 0x11, 0, 5, 0x98, 0x76, 0x50, 0, 8, 0x23, 0, 0, 16, 0xEF, 0, 0, 16, 1, 0, 1])
    data = bmp(rows, 16, 4, bits, compression=1 if bits == 8 else 2, palette=COLORS[: 4 << bits])
    raster = read(data)
    np.testing.assert_array_equal(raster.pixels, read_by_pillow(data, "RGB"))
    assert len(np.unique(raster.pixels.reshape(-1, 3), axis=0)) > 4


def test_runs_that_cover_nothing_show_nothing_of_this_machine() -> None:
    data = bmp(b"\0\1", 64, 64, 8, compression=1, palette=COLORS)
    seen = [read(data).pixels for _ in range(3)]
    assert all((each == each[0, 0]).all() for each in seen)


def test_a_profile_stays_and_a_link_to_one_does_not() -> None:
    data = bmp(padded(RGB[:, :, ::-1].copy()), 30, 21, 24, size=124, icc=srgb_profile())
    raster = read(data)
    np.testing.assert_array_equal(raster.pixels, RGB)
    assert raster.icc == srgb_profile()
    linked = data.replace(b"DEBM", b"KNIL").replace(srgb_profile(), LEAK.ljust(len(srgb_profile()), b"\0"))
    assert read(linked).icc is None
    assert LEAK not in encode(untouched(read(linked)), ImageFormat.BMP, 95)


def test_density_stays() -> None:
    data = bmp(padded(RGB[:, :, ::-1].copy()), 30, 21, 24)
    with Image.open(io.BytesIO(encode(untouched(read(data)), ImageFormat.BMP, 95))) as image:
        assert tuple(round(each) for each in image.info["dpi"]) == (300, 150)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("icc", [None, srgb_profile()])
@pytest.mark.parametrize(
    ("color", "alpha"),
    [(ColorModel.GRAY, False), (ColorModel.GRAY, True), (ColorModel.RGB, False), (ColorModel.RGB, True)],
)
def test_finished_files(color: ColorModel, alpha: bool, icc: bytes | None, orientation: int) -> None:
    pixels = picture(21, 30, color.channels + alpha)
    raster = Raster(pixels, color, alpha, orientation, icc=icc if color is ColorModel.RGB else None)
    composite = untouched(raster)
    data = encode(composite, ImageFormat.BMP, 95)
    verify(data, ImageFormat.BMP, composite)
    expected = upright_view(pixels, orientation)
    if color is ColorModel.GRAY and alpha:
        expected = expected[:, :, [0, 0, 0, 1]]
    np.testing.assert_array_equal(read_by_pillow(data), expected)
    np.testing.assert_array_equal(read(data).pixels, expected)
    assert read(data).icc == raster.icc
    for change in (
        lambda d: d + b"\0",
        lambda d: d[:-1],
        lambda d: d[:6] + b"HIDE" + d[10:],
        lambda d: d.replace(struct.pack("<ii", *expected.shape[1::-1]), struct.pack("<ii", *expected.shape[:2]), 1),
    ):
        with pytest.raises(OutputRefused):
            verify(change(data), ImageFormat.BMP, composite)


def test_bytes_between_the_rows_are_refused() -> None:
    composite = untouched(Raster(RGB, ColorModel.RGB, False))
    data = encode(composite, ImageFormat.BMP, 95)
    assert data[54 + 90 : 54 + 92] == b"\0\0"
    with pytest.raises(OutputRefused):
        verify(data[: 54 + 90] + b"\1" + data[54 + 91 :], ImageFormat.BMP, composite)


def test_limits_hold_by_the_header() -> None:
    with pytest.raises(CorruptImage):
        inspect(bmp(b"", 1000, 1000, 24), LIMITS)
    with pytest.raises(TooManyPixels):
        inspect(bmp(b"\0\1", 100_000, 1000, 8, compression=1, palette=RAMP), LIMITS)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (bmp(bytes(100), 5, 5, 24, compression=4), UnsupportedFormat),  # JPEG inside
        (bmp(bytes(100), 5, 5, 24, compression=5), UnsupportedFormat),  # PNG inside
        (bmp(bytes(100), 5, 5, 2, palette=RAMP[:16]), UnsupportedFormat),
        (bmp(bytes(100), 5, 5, 64), UnsupportedFormat),
        (bmp(bytes(100), 5, 5, 32, compression=3, masks=(0x3FF00000, 0xFFC00, 0x3FF)), UnsupportedFormat),
        (bmp(bytes(100), 5, 5, 32, compression=3, masks=(0xF0F000, 0xFF, 0x100)), UnsupportedFormat),
        (bmp(bytes(100), 5, 5, 32, compression=3, masks=(0xFF, 0xFF, 0xFF00)), CorruptImage),
        (bmp(bytes(100), 5, 5, 8), CorruptImage),  # no palette
        (bmp(bytes(100), 0, 5, 24), CorruptImage),
        (bmp(bytes(100), -5, 5, 24), CorruptImage),
        (b"BM" + bytes(60), CorruptImage),
    ],
)
def test_what_is_not_read(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        inspect(data, LIMITS)


def test_png_becomes_bmp_only_by_name() -> None:
    """There is no `format=bmp`; a BMP that stays one keeps every sample."""
    data = with_pillow(RGB, "BMP")
    again = encode(untouched(read(data)), ImageFormat.BMP, 95)
    np.testing.assert_array_equal(read_by_pillow(again), RGB)
