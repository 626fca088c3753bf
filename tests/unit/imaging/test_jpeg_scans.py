"""A progressive JPEG in which nothing is hidden keeps its scans, if nothing else than the picture can be in them."""

import struct

import numpy as np
import pytest

from service.imaging.codec import decode
from service.imaging.containers.jpeg import DHT, DQT, SOS, Segment, read_segments
from service.imaging.containers.jpeg_scans import as_coded
from service.imaging.jpeg_patch import patch
from service.imaging.layers import cover
from service.imaging.masking import Mask, Region
from service.imaging.outlines import BoxOutline
from service.imaging.source import SourceLimits, inspect
from service.imaging.turbojpeg import load
from service.imaging.verify import verify
from service.policy import Obscure
from tests.images import LEAK, jpeg_segment
from tests.jpegs import coefficients, encoded, photo, pixels_of

LIMITS = SourceLimits(10_000_000, 65_500)
LIBRARY = load()
assert LIBRARY is not None, "libturbojpeg is missing: tests/install-debian.sh"

PROGRESSIVE = encoded(photo(112, 160), "progressive")


def patched(data: bytes, *regions: Region, keep_progressive: bool = True) -> bytes:
    source = inspect(data, LIMITS)
    over = cover(decode(source), Mask(regions, (), source.width, source.height), b"a secret of this test")
    out = patch(over, source, LIBRARY, keep_progressive=keep_progressive)
    assert out is not None
    verify(out, source.format, over)
    return out


def of_kind(data: bytes, marker: int) -> list[Segment]:
    return [each for each in read_segments(data)[0] if each.marker == marker]


def bytes_of(data: bytes, marker: int) -> list[bytes]:
    return [data[each.start : each.end] for each in of_kind(data, marker)]


def with_more(data: bytes, before: Segment, *segments: bytes) -> bytes:
    return data[: before.start] + b"".join(segments) + data[before.start :]


def test_its_scans_stay_byte_for_byte_and_nothing_else_does() -> None:
    beside = jpeg_segment(0xFE, LEAK) + jpeg_segment(0xE2, b"MPF\0" + LEAK) + jpeg_segment(0xE1, b"Exif\0\0" + LEAK)
    out = patched(PROGRESSIVE[:2] + beside + PROGRESSIVE[2:] + LEAK)
    assert bytes_of(out, SOS) == bytes_of(PROGRESSIVE, SOS)
    assert LEAK not in out
    np.testing.assert_array_equal(pixels_of(out), pixels_of(PROGRESSIVE))


def test_where_something_is_hidden_or_a_sequential_file_is_wanted_it_is_coded_anew() -> None:
    region = Region("plate", BoxOutline((20, 20, 60, 40)), Obscure.BLUR, 1.0, 2)
    assert bytes_of(patched(PROGRESSIVE, region), SOS) != bytes_of(PROGRESSIVE, SOS)
    sequential = patched(PROGRESSIVE, keep_progressive=False)
    assert len(of_kind(sequential, SOS)) == 1
    for was, now in zip(coefficients(PROGRESSIVE)[0], coefficients(sequential)[0], strict=True):
        np.testing.assert_array_equal(was, now)


def scan_without_refinement() -> bytes:
    """The header of a scan that codes the low coefficients of the first component at once."""
    return b"\xff\xda" + struct.pack(">HB2sBBB", 8, 1, b"\1\0", 0, 0, 0)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(encoded(photo(112, 160), "4:2:0"), id="a sequential file"),
        pytest.param(
            with_more(PROGRESSIVE, of_kind(PROGRESSIVE, SOS)[0], *bytes_of(PROGRESSIVE, SOS)[:1]), id="a scan twice"
        ),
        pytest.param(
            with_more(PROGRESSIVE, of_kind(PROGRESSIVE, SOS)[0], scan_without_refinement() + b"hidden picture"),
            id="a scan that another one replaces",
        ),
        pytest.param(
            with_more(PROGRESSIVE, of_kind(PROGRESSIVE, SOS)[-1], *bytes_of(PROGRESSIVE, SOS)[-1:]),
            id="a refinement twice",
        ),
        pytest.param(
            with_more(PROGRESSIVE, of_kind(PROGRESSIVE, DQT)[0], *bytes_of(PROGRESSIVE, DQT)[:1]), id="steps twice"
        ),
        pytest.param(
            with_more(PROGRESSIVE, of_kind(PROGRESSIVE, DHT)[0], *bytes_of(PROGRESSIVE, DHT)[:1]), id="codes twice"
        ),
        pytest.param(
            with_more(PROGRESSIVE, of_kind(PROGRESSIVE, SOS)[0], b"\xff\xdd\0\4\0\0", b"\xff\xdd\0\4\0\0"),
            id="restart intervals twice",
        ),
    ],
)
def test_what_may_hold_more_than_the_picture_is_not_kept(changed: bytes) -> None:
    assert as_coded(PROGRESSIVE, adobe=False) is not None
    assert as_coded(changed, adobe=False) is None


def test_codes_may_be_given_anew_behind_a_scan() -> None:
    assert len(of_kind(PROGRESSIVE, DHT)) > 1, "encoders do that"


def test_adobes_segment_stays_where_it_is_meant_to_and_has_its_size() -> None:
    adobe = b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\0"
    rgb = PROGRESSIVE[:2] + adobe + PROGRESSIVE[2:]
    assert (as_coded(rgb, adobe=True) or b"").startswith(b"\xff\xd8" + adobe)
    assert as_coded(rgb, adobe=False) == as_coded(PROGRESSIVE, adobe=False)
    longer = PROGRESSIVE[:2] + adobe.replace(b"\x0e", b"\x0f") + b"x" + PROGRESSIVE[2:]
    assert as_coded(longer, adobe=True) is None
    assert as_coded(rgb[:2] + adobe + rgb[2:], adobe=True) is None
