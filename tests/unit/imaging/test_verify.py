"""The output's own check passes what was made, and refuses whatever could have been put in, left in or lost."""

import dataclasses
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from service.errors import OutputRefused
from service.imaging.codec import decode, encode
from service.imaging.containers.png import read_chunks
from service.imaging.formats import ImageFormat
from service.imaging.masking import Mask
from service.imaging.metadata import exif_with
from service.imaging.obscuring import Composite, obscure
from service.imaging.raster import ColorModel, Raster
from service.imaging.source import SourceLimits, inspect
from service.imaging.verify import verify
from service.policy import GeoPrecision, MetadataMode, MetadataPolicy
from tests.images import (
    GPANO_XMP,
    LEAK,
    jpeg_segment,
    leaky_exif,
    leaky_jpeg,
    leaky_png,
    leaky_tiff,
    leaky_webp,
    picture,
    png_chunk,
    profile_for,
    srgb_profile,
    with_pillow,
    with_tifffile,
)
from tests.rich_metadata import rich_exif, rich_xmp

Change = Callable[[bytes], bytes]
PIXELS = picture(48, 64, 3)
FORMATS = [ImageFormat.JPEG, ImageFormat.PNG, ImageFormat.WEBP, ImageFormat.TIFF]


def composite(orientation: int = 6, icc: bytes | None = None, gpano: bytes | None = None) -> Composite:
    raster = Raster(PIXELS.copy(), ColorModel.RGB, False, orientation, icc or srgb_profile(), gpano)
    return obscure(raster, Mask((), (), raster.width, raster.height), b"secret")


def finished(to: ImageFormat, of: Composite | None = None) -> bytes:
    return encode(of or composite(), to, 95)


def refused(data: bytes, to: ImageFormat, of: Composite | None = None) -> str:
    with pytest.raises(OutputRefused) as error:
        verify(data, to, of or composite())
    assert error.value.cause
    return error.value.cause


@pytest.mark.parametrize("to", FORMATS)
def test_what_was_made_passes(to: ImageFormat) -> None:
    verify(finished(to), to, composite())


@pytest.mark.parametrize("to", FORMATS)
def test_bytes_behind_the_picture(to: ImageFormat) -> None:
    for trailer in (b"\0", LEAK, with_pillow(PIXELS, "JPEG")):
        refused(finished(to) + trailer, to)


@pytest.mark.parametrize("to", FORMATS)
def test_every_cut(to: ImageFormat) -> None:
    data = finished(to)
    for end in range(0, len(data), 97):
        refused(data[:end], to)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("other", FORMATS)
def test_another_format(to: ImageFormat, other: ImageFormat) -> None:
    if to is not other:
        refused(finished(other), to)


@pytest.mark.parametrize("to", FORMATS)
def test_another_size(to: ImageFormat) -> None:
    raster = dataclasses.replace(composite().raster, pixels=picture(48, 63, 3))
    smaller = obscure(raster, Mask((), (), raster.width, raster.height), b"secret")
    refused(finished(to, smaller), to)


@pytest.mark.parametrize("to", FORMATS)
def test_another_turn(to: ImageFormat) -> None:
    refused(finished(to, composite(orientation=1)), to)
    if to is ImageFormat.JPEG:  # the others are written upright: a half turn looks the same from outside
        refused(finished(to, composite(orientation=8)), to)


@pytest.mark.parametrize("to", FORMATS)
def test_another_profile(to: ImageFormat) -> None:
    other = composite(icc=profile_for(b"RGB "))
    refused(finished(to, other), to)
    refused(finished(to, composite(icc=LEAK)), to)
    refused(finished(to), to, composite(icc=LEAK))


@pytest.mark.parametrize("to", FORMATS)
def test_a_packet_that_is_not_meant_to_be_there_or_is_missing(to: ImageFormat) -> None:
    panorama = composite(gpano=GPANO_XMP)
    verify(finished(to, panorama), to, panorama)
    refused(finished(to, panorama), to)
    refused(finished(to), to, panorama)


def after_start(segment: bytes) -> Change:
    return lambda data: data[:2] + segment + data[2:]


def before_scan(segment: bytes) -> Change:
    def change(data: bytes) -> bytes:
        at = data.rindex(b"\xff\xda")
        return data[:at] + segment + data[at:]

    return change


@pytest.mark.parametrize(
    "change",
    [
        after_start(jpeg_segment(0xFE, LEAK)),
        before_scan(jpeg_segment(0xFE, LEAK)),
        after_start(jpeg_segment(0xED, b"Photoshop 3.0\0")),
        after_start(jpeg_segment(0xE2, b"MPF\0MM\0*")),
        after_start(jpeg_segment(0xE0, b"JFXX\0\x10")),
        after_start(jpeg_segment(0xE0, b"JFIF\0\1\2\1\0\1\0\1\1\1abc")),
        after_start(jpeg_segment(0xE1, b"Exif\0\0" + exif_with(6))),
        after_start(jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + GPANO_XMP)),
        after_start(jpeg_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + LEAK)),
        after_start(jpeg_segment(0xE2, b"ICC_PROFILE\0\2\2" + LEAK)),
        after_start(jpeg_segment(0xEE, b"Adobe" + bytes(7) + LEAK)),
        before_scan(b"\xff\xff\xff"),
        before_scan(b"\xff\x01"),
        lambda data: data.replace(exif_with(6), exif_with(8)),
        lambda data: data.replace(
            jpeg_segment(0xE1, b"Exif\0\0" + exif_with(6)),
            jpeg_segment(0xE1, b"Exif\0\0" + leaky_exif(6, with_pillow(PIXELS, "JPEG"))),
        ),
        lambda data: data.replace(jpeg_segment(0xE1, b"Exif\0\0" + exif_with(6)), b""),
        lambda data: data.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc3\0\x11\x08"),
        lambda _: leaky_jpeg(PIXELS),
    ],
)
def test_jpeg_segments(change: Change) -> None:
    data = finished(ImageFormat.JPEG)
    assert change(data) != data
    refused(change(data), ImageFormat.JPEG)


def padded(marker: int) -> Change:
    """The first segment of `marker` with bytes behind its content that its length counts in."""

    def change(data: bytes) -> bytes:
        at = data.index(bytes((0xFF, marker)))
        (length,) = struct.unpack_from(">H", data, at + 2)
        grown = struct.pack(">H", length + len(LEAK)) + data[at + 4 : at + 2 + length] + LEAK
        return data[: at + 2] + grown + data[at + 2 + length :]

    return change


@pytest.mark.parametrize("marker", [0xDB, 0xC4, 0xC0])
def test_tables_with_bytes_behind_them(marker: int) -> None:
    data = finished(ImageFormat.JPEG)
    assert "beside the content" in refused(padded(marker)(data), ImageFormat.JPEG)


@pytest.mark.parametrize("name", [b"IHDR", b"pHYs", b"IDAT", b"IEND"])
def test_a_wrong_checksum(name: bytes) -> None:
    data = finished(ImageFormat.PNG)
    at = next(each.end for each in read_chunks(data) if each.name == name) - 1
    assert "checksum" in refused(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :], ImageFormat.PNG)


def test_bytes_behind_a_compressed_profile() -> None:
    data = finished(ImageFormat.PNG)
    at = data.index(b"iCCP") - 4
    (length,) = struct.unpack_from(">I", data, at)
    chunk = png_chunk(b"iCCP", data[at + 8 : at + 8 + length] + LEAK)
    assert "beside the color profile" in refused(data[:at] + chunk + data[at + 12 + length :], ImageFormat.PNG)


@pytest.mark.parametrize("to", [*FORMATS, ImageFormat.AVIF])
@pytest.mark.parametrize("mode", [MetadataMode.GEO, MetadataMode.KEEP])
def test_more_metadata_than_the_mode_has(to: ImageFormat, mode: MetadataMode) -> None:
    """A file that is right in one mode is refused in a lesser one, and one that lacks what the mode has as well."""
    keep = MetadataPolicy(mode)
    raster = dataclasses.replace(composite().raster, exif=rich_exif(), xmp=rich_xmp())
    rich = obscure(raster, Mask((), (), raster.width, raster.height), b"secret")
    data = encode(rich, to, 95, keep)
    verify(data, to, rich, keep)
    refused(data, to, rich)
    with pytest.raises(OutputRefused):
        verify(encode(rich, to, 95), to, rich, keep)
    rounded = dataclasses.replace(keep, geo=GeoPrecision.TEN)
    with pytest.raises(OutputRefused):
        verify(data, to, rich, rounded)


def before_pixels(chunk: bytes) -> Change:
    def change(data: bytes) -> bytes:
        at = data.index(b"IDAT") - 4
        return data[:at] + chunk + data[at:]

    return change


@pytest.mark.parametrize(
    "change",
    [
        before_pixels(png_chunk(b"tEXt", b"Comment\0" + LEAK)),
        before_pixels(png_chunk(b"eXIf", leaky_exif(1, b"thumbnail"))),
        before_pixels(png_chunk(b"eXIf", exif_with(6))),
        before_pixels(png_chunk(b"iTXt", b"Comment\0\0\0\0\0" + LEAK)),
        before_pixels(png_chunk(b"tIME", b"\x07\xe8\1\1\1\1\1")),
        before_pixels(png_chunk(b"prVt", LEAK)),
        before_pixels(png_chunk(b"pHYs", struct.pack(">IIB", 1000, 1000, 1))),
        lambda data: data[:-12] + png_chunk(b"zTXt", b"x\0\0" + zlib.compress(LEAK)) + data[-12:],
        lambda data: data.replace(struct.pack(">IIB", 1000, 1000, 1), struct.pack(">IIB", 1952, 1953, 1)),
        lambda _: leaky_png(PIXELS, 1),
    ],
)
def test_png_chunks(change: Change) -> None:
    data = finished(ImageFormat.PNG)
    assert change(data) != data
    refused(change(data), ImageFormat.PNG)


def riff(*chunks: bytes) -> Change:
    def change(data: bytes) -> bytes:
        body = data[12:] + b"".join(chunks)
        return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body

    return change


@pytest.mark.parametrize(
    "change",
    [
        riff(b"EXIF" + struct.pack("<I", 26) + exif_with(6)),
        riff(b"XMP " + struct.pack("<I", 6) + LEAK),
        riff(b"LEAK" + struct.pack("<I", 6) + LEAK),
        riff(b"\0"),
        riff(b"ICCP" + struct.pack("<I", 6) + LEAK),
        lambda data: data[:20] + bytes((data[20] | 0x08,)) + data[21:],
        lambda _: leaky_webp(PIXELS, 1),
    ],
)
def test_webp_chunks(change: Change) -> None:
    data = finished(ImageFormat.WEBP)
    assert data[12:16] == b"VP8X"
    assert change(data) != data
    refused(change(data), ImageFormat.WEBP)


def second_directory(data: bytes) -> bytes:
    return data[:-4] + struct.pack("<I", len(data)) + struct.pack("<HHHIII", 1, 254, 4, 1, 1, 0)


def gap(data: bytes) -> bytes:
    """`data` with some bytes between the pixels and the directory that nothing points at."""
    (directory,) = struct.unpack_from("<I", data, 4)
    return data[:4] + struct.pack("<I", directory + 6) + data[8:directory] + LEAK + data[directory:]


def wide_bits(data: bytes) -> bytes:
    """BitsPerSample with more values than there are samples, behind everything else."""
    at = data.index(struct.pack("<HHI", 258, 3, 3))
    return data[:at] + struct.pack("<HHII", 258, 3, 300, len(data)) + data[at + 12 :] + LEAK * 100


def tag_for(tag: int) -> Change:
    """The tag of SampleFormat, which is the default anyway, exchanged for another."""
    return lambda data: data.replace(struct.pack("<HHI", 339, 3, 3), struct.pack("<HHI", tag, 3, 3))


@pytest.mark.parametrize(
    "change",
    [
        second_directory,
        gap,
        tag_for(330),
        tag_for(34665),
        tag_for(34377),
        wide_bits,
        lambda _: leaky_tiff(PIXELS, 1),
        lambda _: with_tifffile(np.rot90(PIXELS, -1)),
    ],
)
def test_tiff_directories(change: Change) -> None:
    data = finished(ImageFormat.TIFF)
    assert change(data) != data
    refused(change(data), ImageFormat.TIFF)


def test_it_is_cheap() -> None:
    """The check walks 3 MB of JPEG in milliseconds; a tenth of a second leaves room for a busy machine."""
    noisy = np.random.default_rng(0).integers(90, 160, (2000, 2000, 3), np.uint8)
    raster = decode(inspect(with_pillow(noisy, "JPEG", quality=95), SourceLimits(10_000_000, 5_000)))
    made = obscure(raster, Mask((), (), raster.width, raster.height), b"secret")
    data = encode(made, ImageFormat.JPEG, 95)
    started = time.perf_counter()
    verify(data, ImageFormat.JPEG, made)
    assert time.perf_counter() - started < 0.1
