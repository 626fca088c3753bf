"""Every place that lists the formats lists the same ones."""

import pytest

from service.api import openapi
from service.errors import InvalidRequest, UnsupportedFormat
from service.imaging.codec import LOADERS, OTHER_DECODERS
from service.imaging.formats import READ, WRITTEN, ImageFormat, output_format, sniff
from service.imaging.source import READERS
from service.imaging.verify import CHECKS
from service.policy import OutputFormat
from tests.images import picture, with_pillow
from tests.stills import heic, jp2

MADE = {
    ImageFormat.JPEG: lambda: with_pillow(picture(64, 64, 3), "JPEG"),
    ImageFormat.PNG: lambda: with_pillow(picture(64, 64, 3), "PNG"),
    ImageFormat.WEBP: lambda: with_pillow(picture(64, 64, 3), "WEBP"),
    ImageFormat.TIFF: lambda: with_pillow(picture(64, 64, 3), "TIFF"),
    ImageFormat.BMP: lambda: with_pillow(picture(64, 64, 3), "BMP"),
    ImageFormat.AVIF: lambda: with_pillow(picture(64, 64, 3), "AVIF"),
    ImageFormat.HEIC: lambda: heic(picture(64, 64, 3)),
    ImageFormat.JP2: lambda: jp2(picture(64, 64, 3)),
}


@pytest.mark.parametrize("kind", ImageFormat)
def test_each_is_known_by_its_content(kind: ImageFormat) -> None:
    assert sniff(MADE[kind]()) is kind
    assert ImageFormat.from_media_type(kind.media_type) is kind
    assert kind.label in READ
    assert kind.label in UnsupportedFormat.default_detail
    assert kind.media_type in openapi.READ_TYPES


def test_the_lists_are_one() -> None:
    assert UnsupportedFormat.default_detail.endswith(f": {READ}.")
    assert set(READERS) == set(ImageFormat) == set(LOADERS) | set(OTHER_DECODERS)
    assert not set(LOADERS) & set(OTHER_DECODERS)
    assert set(CHECKS) == set(WRITTEN)
    assert {each.value for each in OutputFormat} - {"same"} <= {each.value for each in WRITTEN}
    assert tuple(each.media_type for each in WRITTEN) == openapi.WRITTEN_TYPES


@pytest.mark.parametrize("kind", ImageFormat)
def test_the_same_format_where_it_is_written(kind: ImageFormat) -> None:
    assert output_format(kind, OutputFormat.JPEG) is ImageFormat.JPEG
    if kind in WRITTEN:
        assert output_format(kind, OutputFormat.SAME) is kind
        return
    with pytest.raises(InvalidRequest, match=kind.label) as refused:
        output_format(kind, OutputFormat.SAME)
    (problem,) = refused.value.problems
    assert problem.pointer == "/format"
    assert "format=jpeg, png, webp, avif or tiff" in problem.detail


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"mif1\0\0\0\0mif1heic", ImageFormat.HEIC),
        (b"mif1\0\0\0\0mif1avifmiaf", ImageFormat.AVIF),
        (b"avis\0\0\0\0avis", ImageFormat.AVIF),
        (b"msf1\0\0\0\0hevc", ImageFormat.HEIC),
    ],
)
def test_brands(brands: bytes, kind: ImageFormat) -> None:
    assert sniff((len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands) is kind


@pytest.mark.parametrize("brands", [b"isom\0\0\0\0isomavc1", b"crx \0\0\0\0crx heic", b"qt  \0\0\0\0qt  "])
def test_films_and_raw_are_no_pictures(brands: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        sniff((len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands)
