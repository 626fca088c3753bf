"""Files taken apart: every byte has its part, and what must not leave is found wherever it is."""

import time
from collections.abc import Callable

import pytest

from service.errors import CorruptImage, UnsupportedFormat
from service.imaging.anatomy.dissect import dissect
from service.imaging.anatomy.parts import Fate, Part
from service.imaging.formats import ImageFormat
from tests.hostile.crafted import crowded_exif, with_exif
from tests.images import LEAK, exif_block, leaky_tiff, picture, png_by_hand, png_chunk, srgb_profile, with_pillow
from tests.rich_metadata import (
    PIXELS,
    THUMBNAIL,
    exif_of,
    rich_avif,
    rich_jpeg,
    rich_png,
    rich_tiff,
    rich_webp,
)
from tests.stills import leaky_heic

FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": rich_jpeg,
    "png": rich_png,
    "webp": rich_webp,
    "tiff": rich_tiff,
    "avif": rich_avif,
}
HIDDEN = {
    "jpeg": ["JFXX thumbnail", "extended XMP", "MPF", "gain map", "Photoshop resources", "COM", "trailer", "0201 JPEG"],
    "png": ["caBX", "tEXt", "trailer"],
    "webp": ["LEAK", "trailer"],
    "tiff": ["8649 Photoshop", "83BB IPTC", "bytes that belong to nothing"],
    "avif": ["trailer"],
}
COMMON = ["927C MakerNote", "9286 UserComment", "C4A5 PrintIM", "9C9B XPTitle", "Thumbnails", "Version of http"]


def suspicious(data: bytes) -> list[Part]:
    return [each for each in dissect(data).parts if each.suspicious]


@pytest.mark.parametrize("name", FILES)
def test_all_that_must_not_leave_is_found(name: str) -> None:
    found = [f"{each.name} {each.what}" for each in suspicious(FILES[name]())]
    for text in COMMON + HIDDEN[name]:
        assert any(text in each for each in found), text


@pytest.mark.parametrize("name", FILES)
def test_what_is_left_is_not_suspicious(name: str) -> None:
    parts = {each.name: each.fate for each in dissect(FILES[name]()).parts}
    assert parts["010F Make"] is Fate.GEO
    assert parts["829A ExposureTime"] is Fate.KEEP
    assert parts["013B Artist"] is Fate.OWNER
    assert parts["0002 GPSLatitude"] is Fate.GEO
    assert parts["GPano:ProjectionType"] is Fate.STRIP
    assert parts["GPano:PoseHeadingDegrees"] is Fate.GEO


def test_the_kind_of_what_is_embedded_is_named() -> None:
    assert any("JPEG" in each.embedded for each in suspicious(rich_jpeg()))
    note = b"/9j/4AAQSkZJRgABAQAAAQ"
    block = exif_of({}, thumbnail=THUMBNAIL)
    coded = with_pillow(PIXELS, "JPEG", exif=b"Exif\0\0" + block, comment=note)
    found = {kind for each in suspicious(coded) for kind in each.embedded}
    assert found == {"JPEG", "JPEG in base64"}


@pytest.mark.parametrize("name", FILES)
def test_parts_cover_the_whole_file(name: str) -> None:
    """Every byte is in a part, so nothing can hide between them."""
    data = FILES[name]()
    left, at = [], 0
    for each in sorted(dissect(data).parts, key=lambda each: each.at):
        if each.size:
            left += [data[at : each.at]] if each.at > at else []
            at = max(at, each.at + each.size)
    left += [data[at:]] if at < len(data) else []
    assert all(each in (b"\0", data[:8], data[:4]) for each in left), left


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (with_pillow(PIXELS, "JPEG", exif=exif_block(6), icc_profile=srgb_profile()), ImageFormat.JPEG),
        (with_pillow(PIXELS, "JPEG", progressive=True, quality=90), ImageFormat.JPEG),
        (png_by_hand(PIXELS), ImageFormat.PNG),
        (with_pillow(PIXELS, "WEBP"), ImageFormat.WEBP),
        (with_pillow(PIXELS, "TIFF", compression="tiff_lzw"), ImageFormat.TIFF),
        (with_pillow(PIXELS, "BMP"), ImageFormat.BMP),
    ],
)
def test_plain_files_of_others_are_clean(data: bytes, kind: ImageFormat) -> None:
    found = dissect(data)
    assert (found.format, suspicious(data)) == (kind, [])
    assert suspicious(data + LEAK)


def test_pages_frames_and_other_pictures() -> None:
    assert any(each.name == "IFD1" for each in suspicious(leaky_tiff(PIXELS)))
    assert any(each.name == "fcTL" for each in suspicious(png_by_hand(PIXELS, png_chunk(b"fcTL", bytes(26)))))
    found = [f"{each.name} {each.what}" for each in suspicious(leaky_heic(picture(64, 64, 3)))]
    assert any("another picture" in each for each in found)
    assert any("motion photo" in each for each in found)


def test_a_damaged_checksum_is_found() -> None:
    data = bytearray(png_by_hand(PIXELS, png_chunk(b"gAMA", bytes(4))))
    data[data.index(b"gAMA") + 8] ^= 1
    assert [each.what for each in suspicious(bytes(data))] == ["wrong checksum"]


def test_what_cannot_be_taken_apart_is_refused() -> None:
    with pytest.raises(UnsupportedFormat):
        dissect(b"no picture")
    for data in (rich_jpeg()[:200], png_by_hand(PIXELS)[:-20]):
        with pytest.raises(CorruptImage):
            dissect(data)


# --- what fuzzing found -----------------------------------------------------------------------------------------------


def test_a_color_profile_that_does_not_inflate_is_a_part_like_any_other():
    damaged = png_by_hand(PIXELS, png_chunk(b"iCCP", b"ICC profile\0\0" + b"\x78\x9c\xff\xff\xff"))
    assert any("iCCP" in each.name and each.suspicious for each in dissect(damaged).parts)


def test_four_thousand_entries_on_the_same_bytes_are_searched_once():
    """Each searched by itself took seconds of CPU time; in a large TIFF it would have been hours."""
    data = with_exif(with_pillow(PIXELS, "JPEG"), crowded_exif())
    started = time.process_time()
    parts = dissect(data).parts
    assert time.process_time() - started < 2
    assert len(parts) > 4000
