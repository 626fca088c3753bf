"""The walk over EXIF and XMP that each answer must pass refuses whatever a mode does not allow, at every place."""

import struct

import pytest

from service.errors import OutputRefused
from service.imaging.exif import select
from service.imaging.exif_tags import Group, Selection
from service.imaging.verify_metadata import check_exif, check_xmp
from service.imaging.xmp import rebuild
from service.imaging.xmp_properties import keeps
from service.policy import GeoPrecision, MetadataMode, MetadataPolicy
from tests.images import LEAK
from tests.rich_metadata import THUMBNAIL, Entries, directory, exif_of, rich_exif, rich_groups, rich_xmp

STRIP, GEO, KEEP = MetadataPolicy(), MetadataPolicy(MetadataMode.GEO), MetadataPolicy(MetadataMode.KEEP)
OWNER = MetadataPolicy(MetadataMode.KEEP, owner=True)
ROUNDED = MetadataPolicy(MetadataMode.GEO, GeoPrecision.TEN)
MAKE = {0x010F: (2, 6, b"Maker\0")}


def refused(block: bytes, policy: MetadataPolicy) -> str:
    with pytest.raises(OutputRefused) as error:
        check_exif(block, policy)
    assert error.value.cause
    return error.value.cause


@pytest.mark.parametrize("policy", [STRIP, GEO, ROUNDED, KEEP, OWNER])
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_is_selected_passes_its_own_mode_and_no_lesser_one(policy: MetadataPolicy, order: str) -> None:
    block = select(rich_exif(order), Selection(policy), 6).block()
    check_exif(block, policy)
    lesser = {GEO: [STRIP, ROUNDED], ROUNDED: [STRIP], KEEP: [STRIP, GEO, ROUNDED], OWNER: [STRIP, GEO, ROUNDED, KEEP]}
    for each in lesser.get(policy, []):
        refused(block, each)


@pytest.mark.parametrize(
    "block",
    [
        exif_of({Group.IMAGE: MAKE}, thumbnail=THUMBNAIL),
        exif_of({Group.IMAGE: MAKE}) + LEAK,
        exif_of({Group.IMAGE: MAKE}) + b"\0",
        exif_of({Group.IMAGE: {0x010F: (2, 2, b"M\0ab")}}),
        exif_of({Group.IMAGE: {0x010E: (2, 300, b"A" * 300)}}),
        exif_of({Group.IMAGE: {0x010E: (2, 30, b"/9j/4AAQSkZJRgABAQAAAQABAAD/2w")}}),
        exif_of({Group.IMAGE: {0x010F: (2, len(THUMBNAIL), THUMBNAIL)}}),
        exif_of({Group.IMAGE: {0x014A: (4, 1, struct.pack("<I", 8))}}),
        exif_of({Group.IMAGE: {0xFDE8: (2, 6, b"Maker\0")}}),
        exif_of({Group.PHOTO: {0x927C: (7, 4, b"note")}}),
        exif_of({Group.PHOTO: {0x9286: (7, 12, b"ASCII\0\0\0text")}}),
        exif_of({Group.GPS: {0x001B: (7, 12, b"UNICODE\0text")}}),
        exif_of({Group.IMAGE: {0x8825: (4, 1, struct.pack("<I", 8))} | MAKE}),
        b"II*\0\x0e\0\0\0" + LEAK + directory("<", MAKE, 14),
        b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) * 2 + bytes(4),
        b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + struct.pack("<QHHQHHIQ", 1, 0x0112, 3, 1, 6, 0, 0, 0),
    ],
)
def test_blocks_with_more_in_them(block: bytes) -> None:
    refused(block, OWNER)


def test_an_exact_position_is_no_rounded_one() -> None:
    exact: Entries = {each: value for each, value in rich_groups("<")[Group.GPS].items() if each in (1, 2, 3, 4)}
    block = exif_of({Group.GPS: exact})
    check_exif(block, GEO)
    assert "rounded" in refused(block, ROUNDED)
    rounded = select(block, Selection(ROUNDED), 1).block()
    check_exif(rounded, ROUNDED)
    refused(rounded, MetadataPolicy(MetadataMode.GEO, GeoPrecision.HUNDRED))


@pytest.mark.parametrize("policy", [STRIP, GEO, ROUNDED, KEEP, OWNER])
def test_packets(policy: MetadataPolicy) -> None:
    packet = rebuild(rich_xmp(), lambda known: keeps(known, policy))
    assert packet is not None
    check_xmp(packet, policy)
    changes = [rich_xmp(), packet + b" ", packet.replace(b"<x:xmpmeta", b"<!-- x --><x:xmpmeta"), packet[:-1]]
    changes.append(packet.replace(b' rdf:about=""', b' rdf:about="" xmlns:a="urn:a" a:b="c"'))
    for each in changes:
        with pytest.raises(OutputRefused):
            check_xmp(each, policy)
    if policy is not STRIP:
        with pytest.raises(OutputRefused):
            check_xmp(packet, STRIP)
