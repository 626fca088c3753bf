"""Orientation, projection and color profile: read with suspicion, rebuilt from values."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.imaging.gpano import rebuild_gpano
from service.imaging.metadata import exif_with, orientation_of, usable_profile
from service.imaging.raster import ColorModel
from tests.images import GPANO_XMP, LEAK, exif_block, leaky_exif, profile_for, srgb_profile

NAMESPACES = (
    'xmlns:x="adobe:ns:meta/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" xmlns:g="http://ns.google.com/photos/1.0/panorama/"'
)


def packet(attributes: str = "", children: str = "", before: str = "") -> bytes:
    body = f'<rdf:RDF><rdf:Description rdf:about="" {attributes}>{children}</rdf:Description></rdf:RDF>'
    return f"{before}<x:xmpmeta {NAMESPACES}>{body}</x:xmpmeta>".encode()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_survives_and_nothing_else(orientation: int) -> None:
    block = exif_with(orientation)
    assert orientation_of(block) == orientation
    assert len(block) == 26
    other = Image.Exif()
    other.load(b"Exif\0\0" + block)
    assert dict(other) == {0x0112: orientation}
    assert orientation_of(exif_block(orientation).removeprefix(b"Exif\0\0")) == orientation
    assert orientation_of(leaky_exif(orientation, b"thumbnail")) == orientation


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_orientation(noise: bytes) -> None:
    assert 1 <= orientation_of(noise) <= 8
    assert 1 <= orientation_of(b"II*\0\x08\0\0\0" + noise) <= 8


def test_projection_is_kept_from_attributes_and_elements() -> None:
    rebuilt, equirectangular = rebuild_gpano(GPANO_XMP)
    assert rebuilt is not None
    assert equirectangular
    for kept in (b'ProjectionType="equirectangular"', b'FullPanoWidthPixels="64"', b'CroppedAreaLeftPixels="0"'):
        assert kept in rebuilt
    for gone in (b"PoseHeading", b"Software", b"GCamera", b"Thumbnails", LEAK):
        assert gone not in rebuilt


def test_rebuilding_twice_changes_nothing() -> None:
    once = rebuild_gpano(GPANO_XMP)
    assert once[0] is not None
    assert rebuild_gpano(once[0]) == once


def test_the_prefix_does_not_matter_and_the_namespace_does() -> None:
    assert rebuild_gpano(packet('g:ProjectionType="equirectangular"'))[1]
    foreign = packet('GPano:ProjectionType="equirectangular"').replace(b"photos/1.0/panorama/", b"photos/1.0/other/")
    assert rebuild_gpano(foreign) == (None, False)
    mixed = packet('GPano:UsePanoramaViewer="true" xmlns:n="urn:n" n:ProjectionType="equirectangular"')
    rebuilt, equirectangular = rebuild_gpano(mixed)
    assert b'UsePanoramaViewer="True"' in (rebuilt or b"")
    assert not equirectangular


@pytest.mark.parametrize(
    "attribute",
    [
        'FullPanoWidthPixels="-1"',
        'FullPanoWidthPixels="12345678"',
        'FullPanoWidthPixels="64 Jane Doe"',
        'FullPanoWidthPixels="&#x664;"',
        'PosePitchDegrees="1e9"',
        'PosePitchDegrees="nan"',
        'ProjectionType="/9j/4AAQSkZJRg"',
        'UsePanoramaViewer="maybe"',
        'PoseHeadingDegrees="90"',
        'FirstPhotoDate="2021:07:29 11:16:42"',
        'Invented="1"',
    ],
)
def test_values_that_are_none_are_dropped(attribute: str) -> None:
    assert rebuild_gpano(packet(f"GPano:{attribute}")) == (None, False)


def test_nested_elements_are_no_values() -> None:
    nested = packet(children="<GPano:FullPanoWidthPixels><rdf:li>64</rdf:li></GPano:FullPanoWidthPixels>")
    assert rebuild_gpano(nested) == (None, False)


def test_entities_are_refused() -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "64"><!ENTITY b "&a;&a;">]>'
    assert rebuild_gpano(packet('GPano:FullPanoWidthPixels="64"', before=laughs)) == (None, False)
    assert rebuild_gpano(packet('GPano:FullPanoWidthPixels="64"', before="<!DOCTYPE x>")) == (None, False)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_other_encodings(codec: str) -> None:
    assert rebuild_gpano(packet('GPano:ProjectionType="equirectangular"').decode().encode(codec))[1]


@pytest.mark.parametrize(
    "xmp",
    [
        b"",
        b"no xml",
        packet('GPano:FullPanoWidthPixels="64"')[:-5],
        packet('GPano:FullPanoWidthPixels="64"', children="<rdf:li>" * 100 + "</rdf:li>" * 100),
        packet('GPano:FullPanoWidthPixels="64"', children=" " * 2_000_000),
    ],
)
def test_broken_deep_and_large_packets_say_nothing(xmp: bytes) -> None:
    assert rebuild_gpano(xmp) == (None, False)


def test_profiles_are_kept_only_where_they_apply() -> None:
    profile = srgb_profile()
    assert usable_profile(profile, ColorModel.RGB) == profile
    assert usable_profile(profile, ColorModel.GRAY) is None
    assert usable_profile(profile_for(b"CMYK"), ColorModel.CMYK) == profile_for(b"CMYK")
    assert usable_profile(None, ColorModel.RGB) is None
    assert usable_profile(b"LEAKED" * 100, ColorModel.RGB) is None
    assert usable_profile(profile[:-1], ColorModel.RGB) is None
    assert usable_profile(struct.pack(">I", 40) + profile[4:], ColorModel.RGB) is None


def test_bytes_behind_a_profile_are_cut_off() -> None:
    assert usable_profile(srgb_profile() + LEAK, ColorModel.RGB) == srgb_profile()
