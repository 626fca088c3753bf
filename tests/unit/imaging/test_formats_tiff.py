"""TIFF in its many ways to lie in a file: BigTIFF, tiles, planes, every compression, 8 and 16 bits."""

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
import tifffile

from service.errors import UnsupportedFormat
from service.imaging.codec import decode, encode
from service.imaging.formats import ImageFormat
from service.imaging.masking import Mask
from service.imaging.obscuring import obscure
from service.imaging.raster import Raster
from service.imaging.source import SourceLimits, inspect
from service.imaging.verify import verify
from tests.images import picture, with_tifffile

LIMITS = SourceLimits(max_pixels=50_000_000, max_side=65_500)
Depth = type[np.uint8] | type[np.uint16]


def read(data: bytes) -> Raster:
    return decode(inspect(data, LIMITS))


def by_libvips(pixels: npt.NDArray[Any], **options: Any) -> bytes:
    """The service's libvips writes what tifffile needs more libraries for; tifffile or Pillow are not asked back."""
    height, width, bands = pixels.shape
    kind = "uchar" if pixels.dtype == np.uint8 else "ushort"
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(pixels), width, height, bands, kind)
    meaning = {1: "b-w", 3: "srgb"} if kind == "uchar" else {1: "grey16", 3: "rgb16"}
    return bytes(image.copy(interpretation=meaning[bands]).tiffsave_buffer(**options))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", [{}, {"tile": True, "tile_width": 64, "tile_height": 32}])
@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "packbits"])
def test_lossless_compressions(
    compression: str, layout: dict[str, Any], bigtiff: bool, channels: int, dtype: Depth
) -> None:
    pixels = picture(100, 150, channels, dtype)
    predictor = {"predictor": "horizontal"} if compression in ("lzw", "deflate") else {}
    data = by_libvips(pixels, compression=compression, bigtiff=bigtiff, **layout, **predictor)
    raster = read(data)
    assert raster.lossless
    np.testing.assert_array_equal(raster.pixels, pixels)


@pytest.mark.parametrize("compression", [50_000, 50_001, 34_887, 50_002])
def test_compressions_that_are_not_read_are_refused_before_decoding(compression: int) -> None:
    """Zstandard, WebP, LERC, JPEG XL."""
    data = with_tifffile(picture(8, 8, 3))
    at = data.index(struct.pack("<HHIH", 259, 3, 1, 1))
    with pytest.raises(UnsupportedFormat, match="compression"):
        inspect(data[: at + 8] + struct.pack("<H", compression) + data[at + 10 :], LIMITS)


@pytest.mark.parametrize("layout", [{}, {"tile": True, "tile_width": 64, "tile_height": 32}])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_inside(channels: int, layout: dict[str, Any]) -> None:
    pixels = picture(100, 150, channels)
    raster = read(by_libvips(pixels, compression="jpeg", Q=95, **layout))
    assert not raster.lossless
    assert np.abs(raster.pixels.astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_big_tiff_of_either_byte_order_becomes_a_plain_one(dtype: Depth, bigtiff: bool, byteorder: Any) -> None:
    pixels = picture(140, 150, 4, dtype)
    data = with_tifffile(
        pixels, byteorder=byteorder, bigtiff=bigtiff, tile=(32, 64), extrasamples=["UNASSALPHA"], compression="zlib"
    )
    raster = read(data)
    np.testing.assert_array_equal(raster.pixels, pixels)
    composite = obscure(raster, Mask((), (), raster.width, raster.height), b"secret")
    finished = encode(composite, ImageFormat.TIFF, 95)
    verify(finished, ImageFormat.TIFF, composite)
    seen = tifffile.imread(io.BytesIO(finished))
    np.testing.assert_array_equal(seen, pixels)
    assert seen.dtype == dtype
