"""What survives in each metadata mode and format, over files that have everything; and nothing else, by two readers."""

import io
import json
import math
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.imaging.anatomy.dissect import dissect
from service.imaging.codec import decode, encode
from service.imaging.exif import select
from service.imaging.exif_tags import NEVER, TAGS, Group, Selection, resolve
from service.imaging.formats import ImageFormat
from service.imaging.masking import Mask
from service.imaging.obscuring import obscure
from service.imaging.plain_values import plain_string
from service.imaging.source import SourceLimits, inspect
from service.imaging.verify import verify
from service.imaging.xmp import rebuild
from service.imaging.xmp_properties import PROPERTIES, keeps
from service.policy import GeoPrecision, MetadataMode, MetadataPolicy
from tests.images import LEAK, exif_block, srgb_profile, with_pillow
from tests.rich_metadata import (
    PERSON,
    PIXELS,
    PLACE,
    THUMBNAIL,
    UNKNOWN,
    exif_of,
    rich_avif,
    rich_exif,
    rich_groups,
    rich_jpeg,
    rich_png,
    rich_tiff,
    rich_webp,
    rich_xmp,
    survivors,
)

MODES = {
    "strip": MetadataPolicy(),
    "geo": MetadataPolicy(MetadataMode.GEO),
    "geo 10m": MetadataPolicy(MetadataMode.GEO, GeoPrecision.TEN),
    "keep": MetadataPolicy(MetadataMode.KEEP),
    "keep 10m": MetadataPolicy(MetadataMode.KEEP, GeoPrecision.TEN),
    "owner": MetadataPolicy(MetadataMode.KEEP, owner=True),
    "owner 10m": MetadataPolicy(MetadataMode.KEEP, GeoPrecision.TEN, owner=True),
}
FILES: dict[ImageFormat, Callable[[str], bytes]] = {
    ImageFormat.JPEG: rich_jpeg,
    ImageFormat.PNG: rich_png,
    ImageFormat.WEBP: rich_webp,
    ImageFormat.TIFF: rich_tiff,
    ImageFormat.AVIF: rich_avif,
}
FORMATS = list(FILES)
GEO = {
    Group.IMAGE: {0x010F, 0x0110, 0x0132},
    Group.PHOTO: {0x9000, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292, 0x9405},
    Group.GPS: {*range(0x08), *range(0x09, 0x13), 0x1D, 0x1E, 0x1F},
    Group.INTEROP: set(),
}
"""By hand: what `geo` keeps."""

OWNER = {
    Group.IMAGE: {0x013B, 0x013C, 0x8298, 0xC62F},
    Group.PHOTO: {0xA430, 0xA431, 0xA435, 0xA437, 0xA438},
}
EXACT = {
    (Group.IMAGE, 0x010D),
    (Group.IMAGE, 0x010E),
    (Group.IMAGE, 0x013B),
    (Group.IMAGE, 0x8298),
    *((Group.PHOTO, each) for each in (0x9402, 0x9403, 0xA430, 0xA436, 0xA437, 0xA438)),
    *((Group.GPS, each) for each in (0x08, *range(0x13, 0x1D), 0x1F)),
}
"""By hand: what could tell an exact position."""

TIFF_OWN = {0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0111, 0x0115, 0x0116, 0x0117, 0x011A, 0x011B, 0x011C, 0x0128}
TIFF_OWN |= {0x010A, 0x013D, 0x0153, 0x02BC, 0x8773}
JPEG_CODING = {0x0211, 0x0212, 0x0213, 0x0214}


def finished(data: bytes, policy: MetadataPolicy, to: ImageFormat | None = None) -> bytes:
    """`data` on the way that a picture takes, without masks; the check that each answer must pass is part of it."""
    source = inspect(data, SourceLimits(10_000_000, 10_000))
    raster = decode(source)
    composite = obscure(raster, Mask((), (), raster.width, raster.height), b"secret")
    made = encode(composite, to or source.format, 95, policy)
    verify(made, to or source.format, composite, policy)
    return made


def expected(mode: str, to: ImageFormat) -> set[tuple[Group, int]]:
    """Which tags are to survive."""
    name, _, rounding = mode.partition(" ")
    every = {(group, number) for group, number in TAGS}
    owner = {(group, number) for group, numbers in OWNER.items() for number in numbers}
    kept = {
        "strip": set[tuple[Group, int]](),
        "geo": {(group, number) for group, numbers in GEO.items() for number in numbers},
        "keep": every - owner,
        "owner": every,
    }[name]
    if rounding:
        kept = kept - EXACT
    if to is ImageFormat.AVIF:
        kept = kept - {(Group.IMAGE, 0x0112)}
    if to is ImageFormat.TIFF:
        kept = {each for each in kept if each[0] != Group.IMAGE or each[1] not in TIFF_OWN | JPEG_CODING}
    return kept


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_the_tags_that_survive(mode: str, to: ImageFormat, order: str) -> None:
    """The table of `docs/reference/metadata.md`, over files that have every tag; values are those that were there."""
    data = FILES[to](order)
    before, after = survivors(data), survivors(finished(data, MODES[mode]))
    if to is ImageFormat.TIFF:
        after = {each: value for each, value in after.items() if each[0] != Group.IMAGE or each[1] not in TIFF_OWN}
    assert set(after) == expected(mode, to)
    position = {(Group.GPS, each) for each in (2, 4, 6)} if " " in mode else set()
    for each in set(after) - position:
        assert after[each] == before[each], f"{each[0]} {each[1]:04x}"


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_nothing_that_must_not_come_along(mode: str, to: ImageFormat) -> None:
    data = finished(FILES[to]("<"), MODES[mode])
    assert LEAK not in data
    assert THUMBNAIL[:64] not in data
    assert b"/9j/" not in data
    assert (PERSON in data) == mode.startswith("owner")
    if " " in mode:
        assert PLACE not in data
    if to is ImageFormat.JPEG:
        assert data.rfind(b"\xff\xd8\xff") == 0


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_properties_that_survive(mode: str, to: ImageFormat) -> None:
    data = finished(FILES[to]("<"), MODES[mode])
    found = set(re.findall(r"[ <]([A-Za-z0-9-]+:[A-Za-z0-9]+)[=>]", xmp_of(data)))
    known = {each.label for each in PROPERTIES.values()}
    assert found & known == {each.label for each in PROPERTIES.values() if keeps(each, MODES[mode])}
    others = {each for each in found - known if not each.startswith(("xmlns:", "rdf:", "x:", "xml:"))}
    assert others == set()
    assert {"GPano:ProjectionType", "GPano:FullPanoWidthPixels", "GPano:PosePitchDegrees"} <= found
    assert ("GPano:PoseHeadingDegrees" in found) == (mode != "strip")
    if mode == "strip":
        assert all(each.startswith("GPano:") for each in found & known)


def xmp_of(data: bytes) -> str:
    start = data.index(b"<?xpacket begin")
    return data[start : data.index(b'<?xpacket end="r"?>')].decode()


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_finished_files_have_only_parts_that_veil_writes(mode: str, to: ImageFormat) -> None:
    assert dissect(FILES[to]("<")).suspicious
    found = dissect(finished(FILES[to]("<"), MODES[mode]))
    assert [each for each in found.parts if each.suspicious] == []


EXIFTOOL = shutil.which("exiftool")
EXIF_GROUPS = {"IFD0", "ExifIFD", "GPS", "InteropIFD"}
HARMLESS = EXIF_GROUPS | {"SourceFile", "ExifTool", "System", "File", "Composite", "JFIF", "PNG", "PNG-pHYs", "RIFF"}
HARMLESS |= {"Meta", "QuickTime", "Track1"}
"""Groups of tags; of QuickTime there are those that say how AVIF is built."""


def by_exiftool(data: bytes, folder: Path, *options: str) -> str:
    assert EXIFTOOL is not None
    file = folder / "picture"  # from a pipe it cannot go back in a TIFF
    file.write_bytes(data)
    found = subprocess.run([EXIFTOOL, "-a", "-s", *options, file], capture_output=True, check=False, text=True)
    return found.stdout


def tags_of(data: bytes, folder: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads(by_exiftool(data, folder, "-json", "-G1", "-n"))[0]
    return document


@pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed (tests/install-debian.sh)")
@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_exiftool_finds_the_same_and_nothing_else(mode: str, to: ImageFormat, tmp_path: Path) -> None:
    data = FILES[to]("<")
    made = finished(data, MODES[mode])
    before, after = tags_of(data, tmp_path), tags_of(made, tmp_path)
    groups = {each.partition(":")[0] for each in after if ":" in each}
    assert {each for each in groups if not each.startswith(("XMP", "ICC"))} <= HARMLESS
    own = {
        "StripOffsets",
        "StripByteCounts",
        "Compression",
        "Predictor",
        "XResolution",
        "YResolution",
        "ResolutionUnit",
    }
    own |= {"RowsPerStrip", "SampleFormat", "BitsPerSample"}
    rounded = {"GPS:GPSLatitude", "GPS:GPSLongitude", "GPS:GPSAltitude"} if " " in mode else set()
    for name, value in after.items():
        group, _, tag = name.partition(":")
        if group in EXIF_GROUPS - {"File"} and name not in rounded and not (to is ImageFormat.TIFF and tag in own):
            assert value == before[name], name
    assert not [each for each in after if "Thumbnail" in each or "Preview" in each or "MakerNote" in each]
    assert "ExifTool:Error" not in after
    warnings = by_exiftool(made, tmp_path, "-validate", "-warning", "-s3")
    assert (
        re.findall(r".*(?:[Oo]ffset|overlap|out of sequence|[Dd]uplicate|Suspicious|Bad|[Tt]runcated).*", warnings)
        == []
    )


@pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed (tests/install-debian.sh)")
@pytest.mark.parametrize("meters", GeoPrecision)
def test_exiftool_reads_the_rounded_position(meters: GeoPrecision, tmp_path: Path) -> None:
    exact, coarse = (
        tags_of(finished(rich_jpeg(), MetadataPolicy(MetadataMode.GEO, precision)), tmp_path)
        for precision in (None, meters)
    )
    for name in ("GPS:GPSLatitude", "GPS:GPSLongitude"):
        difference = abs(float(str(exact[name])) - float(str(coarse[name])))
        assert 0 < difference < meters.meters * 1e-5
    assert coarse["GPS:GPSAltitude"] == round(408.7 / meters.meters) * meters.meters


def gps(latitude: int, longitude: int, north: bytes = b"N\0", more: int = 0) -> bytes:
    """A block with a position in ten-millionths of a degree."""
    entries = {
        1: (2, 2, north),
        2: (5, 3, struct.pack("<6I", latitude, 10**7, 0, 1, more, 1000)),
        3: (2, 2, b"E\0"),
        4: (5, 3, struct.pack("<6I", longitude, 10**7, 0, 1, 0, 1)),
    }
    return exif_of({Group.GPS: entries})


def rounded_degrees(block: bytes, policy: MetadataPolicy) -> tuple[float, float]:
    found = select(block, Selection(policy), 1).of(Group.GPS)
    parts = [struct.unpack("<6I", found[tag][2]) for tag in (2, 4)]
    latitude, longitude = (p[0] / p[1] + p[2] / p[3] / 60 + p[4] / p[5] / 3600 for p in parts)
    return latitude, longitude


@given(
    latitude=st.integers(0, 90 * 10**7),
    longitude=st.integers(0, 180 * 10**7),
    precision=st.sampled_from(list(GeoPrecision)),
)
def test_a_rounded_position_is_near_and_on_a_grid_that_is_coarse_enough(
    latitude: int, longitude: int, precision: GeoPrecision
) -> None:
    """Cells are at least as wide and high as asked for, and the position moves by half a cell at most."""
    policy = MetadataPolicy(MetadataMode.GEO, precision)
    north, east = rounded_degrees(gps(latitude, longitude), policy)
    step = precision.meters * 1e-5
    assert abs(north - latitude / 1e7) <= step / 2 + 1e-9
    cells = round(north / step)
    assert north == pytest.approx(cells * step, abs=1e-9)
    assert 0 <= east <= 180
    wide = math.ceil(precision.meters / max(math.cos(math.radians(cells * precision.meters / 1e5)), 1e-9))
    wide = min(wide, 360 * 10**5)
    assert round(east * 1e5) % wide == 0  # as many meters as asked for, where meridians are closer than at the equator
    assert abs(east - longitude / 1e7) <= wide * 1e-5 + 1e-9
    again = rounded_degrees(gps(round(north * 1e7), round(east * 1e7)), policy)
    assert again == pytest.approx((north, east), abs=1e-9)


@given(st.integers(0, 89 * 10**7), st.integers(0, 180 * 10**7), st.sampled_from(list(GeoPrecision)))
def test_whoever_is_nearby_gets_the_same_bytes(latitude: int, longitude: int, precision: GeoPrecision) -> None:
    """Nothing in the block tells which point of the cell it was."""
    policy = Selection(MetadataPolicy(MetadataMode.GEO, precision))
    block = select(gps(latitude, longitude), policy, 1)
    north, east = rounded_degrees(gps(latitude, longitude), policy.policy)
    centered = select(gps(round(north * 1e7), round(east * 1e7)), policy, 1)
    assert block.block() == centered.block()


@pytest.mark.parametrize(
    "broken",
    [
        exif_of({Group.GPS: {1: (2, 2, b"N\0"), 2: (5, 3, bytes(24))}}),
        gps(0, 0, north=b"X\0"),
        gps(91 * 10**7, 0),
        exif_of(
            {
                Group.GPS: {
                    1: (2, 2, b"N\0"),
                    2: (5, 3, struct.pack("<6I", 1, 0, 0, 1, 0, 1)),
                    3: (2, 2, b"E\0"),
                    4: (5, 3, struct.pack("<6I", 1, 1, 0, 1, 0, 1)),
                }
            }
        ),
        exif_of({Group.GPS: {1: (2, 2, b"N\0"), 2: (10, 3, struct.pack("<6i", *(1,) * 6)), 3: (2, 2, b"E\0")}}),
    ],
)
def test_a_position_that_cannot_be_rounded_is_left_out(broken: bytes) -> None:
    kept = select(broken, Selection(MetadataPolicy(MetadataMode.KEEP, GeoPrecision.ONE)), 1)
    assert not kept.of(Group.GPS).keys() & {2, 4}


def test_the_deployment_can_list_further_tags() -> None:
    listed = tuple(resolve(each) for each in ("imagedescription", "0xFDE8", "Copyright", "0x9400"))
    assert listed == ("ImageDescription", "0xFDE8", "Copyright", "Temperature")
    for mode in (MetadataMode.GEO, MetadataMode.KEEP):
        block = rich_exif().replace(LEAK + b" unknown", b"123456 unknown")
        kept = select(block, Selection(MetadataPolicy(mode, allow=listed)), 1)
        assert {0x010E, UNKNOWN, 0x8298} <= kept.of(Group.IMAGE).keys()
        assert 0x9400 in kept.of(Group.PHOTO)
        assert 0x013B not in kept.of(Group.IMAGE)
        rounded = select(block, Selection(MetadataPolicy(mode, GeoPrecision.ONE, allow=listed)), 1)
        assert not {0x010E, UNKNOWN, 0x8298} & rounded.of(Group.IMAGE).keys()
    assert not select(rich_exif(), Selection(MetadataPolicy(allow=listed)), 1)


def test_tags_that_can_carry_a_picture_cannot_be_listed() -> None:
    for number, name in NEVER.items():
        with pytest.raises(ValueError, match="kept nowhere"):
            resolve(hex(number))
        if not name.startswith("pointer"):
            with pytest.raises(ValueError, match=r"kept nowhere|neither"):
                resolve(name.split()[0])
    for nonsense in ("Nonsense", "", "0x0002", "0x10000", "-1"):
        with pytest.raises(ValueError, match=r"is neither|is no number"):
            resolve(nonsense)
    forced = tuple(f"0x{number:04X}" for number in NEVER)
    kept = select(rich_exif(), Selection(MetadataPolicy(MetadataMode.KEEP, owner=True, allow=forced)), 1)
    assert not NEVER.keys() & (kept.of(Group.IMAGE).keys() | kept.of(Group.PHOTO).keys())


@pytest.mark.parametrize(
    "value",
    [
        THUMBNAIL,
        b"ffd8ffe000104a46" + b"00" * 20,
        b"/9j/4AAQSkZJRgABAQAAAQABAAD",
        b"iVBORw0KGgoAAAANSUhEUg",
        b"A" * 300,
        b"text\0" + bytes(range(1, 30)),
        b"one\0two\0three",
        b"x" * 99 + b" " + b"y" * 5000,
        b"bell \x07",
    ],
)
def test_values_that_could_be_more_than_text_are_dropped(value: bytes) -> None:
    for kind in (2, 7, 129):
        block = exif_of({Group.IMAGE: {0x010E: (kind, len(value), value), 0x010F: (2, 6, b"Maker\0")}})
        kept = select(block, Selection(MetadataPolicy(MetadataMode.KEEP, owner=True)), 1).of(Group.IMAGE)
        assert kept.keys() == {0x010F}


@pytest.mark.parametrize(
    "value",
    [
        b"plain\0",
        "Ñandú 日本\0".encode(),
        b"\xa9 2024\0",
        b"photographer\0editor\0",
        b"padded" + bytes(90),
        b"   \0",
        b"",
    ],
)
def test_texts_of_people_are_text(value: bytes) -> None:
    assert plain_string(value, 2000)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reading(noise: bytes) -> None:
    for start in (b"", b"II*\0\x08\0\0\0", rich_exif()[:60]):
        block = select(start + noise, Selection(MODES["owner 10m"]), 1)
        assert select(block.block(), Selection(MODES["owner 10m"]), 1).groups == block.groups
    assert rebuild(noise, lambda _: True) is None


def test_loops_and_huge_counts_end() -> None:
    pointing_at_itself = exif_of({Group.IMAGE: {0x8769: (4, 1, struct.pack("<I", 8)), 0x010F: (2, 6, b"Maker\0")}})
    assert select(pointing_at_itself, Selection(MODES["keep"]), 1).of(Group.IMAGE).keys() == {0x010F}
    huge = exif_of({Group.IMAGE: {0x010E: (2, 2**31, b"12345678")}})
    assert not select(huge, Selection(MODES["keep"]), 1)


def test_a_block_that_would_not_fit_loses_its_longest_values() -> None:
    groups = rich_groups("<")
    for number in range(0xE000, 0xE000 + 60):
        groups[Group.IMAGE][number] = 2, 1900, (b"many words " * 200)[:1899] + b"\0"
    policy = MetadataPolicy(MetadataMode.KEEP, allow=tuple(f"0x{number:04X}" for number in range(0xE000, 0xE000 + 60)))
    kept = select(exif_of(groups), Selection(policy), 1)
    assert len(kept.block()) <= 65_000
    assert 0x010F in kept.of(Group.IMAGE)
    assert any(number >= 0xE000 for number in kept.of(Group.IMAGE))


@pytest.mark.parametrize("to", [ImageFormat.PNG, ImageFormat.WEBP, ImageFormat.TIFF, ImageFormat.AVIF])
def test_a_picture_that_is_turned_upright_says_so(to: ImageFormat) -> None:
    """The tag is 1, and what speaks of the pixels as they were is gone."""
    groups = rich_groups("<")
    groups[Group.IMAGE][0x0112] = 3, 1, struct.pack("<H", 6)
    data = rich_jpeg(exif=exif_of(groups))
    found = survivors(finished(data, MODES["keep"], to))
    assert found[Group.IMAGE, 0x0112] == 1
    assert not found.keys() & {(Group.PHOTO, 0xA002), (Group.PHOTO, 0x9214), (Group.PHOTO, 0xA214)}
    assert survivors(finished(data, MODES["keep"]))[Group.IMAGE, 0x0112] == 6
    assert (Group.PHOTO, 0xA002) in survivors(finished(data, MODES["keep"]))


@pytest.mark.parametrize("mode", MODES)
def test_orientation_survives_a_block_that_says_nothing_else(mode: str) -> None:
    data = with_pillow(PIXELS, "JPEG", exif=exif_block(8))
    assert survivors(finished(data, MODES[mode])) == {(Group.IMAGE, 0x0112): 8}


@pytest.mark.parametrize("to", FORMATS)
def test_what_comes_from_another_format(to: ImageFormat) -> None:
    """EXIF, XMP and profile move from each format into each other."""
    for data in (rich_jpeg(), rich_tiff(">"), rich_png(">")):
        made = finished(data, MODES["geo"], to)
        found = survivors(made)
        assert found[Group.GPS, 2] == survivors(data)[Group.GPS, 2]
        assert found[Group.IMAGE, 0x0110] == "Model"
        assert "GPano:PoseHeadingDegrees" in xmp_of(made)


def test_colors_of_a_png_keep_their_meaning() -> None:
    made = finished(rich_png(), MODES["strip"])
    with Image.open(io.BytesIO(made)) as image:
        assert image.info["gamma"] == pytest.approx(0.45455)
        assert image.info["chromaticity"][0] == pytest.approx(0.3127)
    assert b"gAMA" not in finished(rich_jpeg(), MODES["strip"], ImageFormat.PNG)


def test_a_profile_with_a_picture_in_it_is_none() -> None:
    profile = srgb_profile() + THUMBNAIL
    with_one = struct.pack(">I", len(profile)) + profile[4:]
    made = finished(with_pillow(PIXELS, "PNG", icc_profile=with_one), MODES["keep"])
    assert b"iCCP" not in made


def test_known_properties_with_odd_values_are_dropped() -> None:
    odd = (
        rich_xmp().replace(b"47,32.592606N", b"here: /9j/4AAQ").replace(b'tiff:Make="Make"', b'tiff:Make="/9j/4AAQSk"')
    )
    packet = rebuild(odd, lambda known: keeps(known, MODES["owner"])) or b""
    assert b"/9j/" not in packet
    assert b"tiff:Make=" not in packet
    assert b"tiff:Model=" in packet


@pytest.mark.parametrize("mode", MODES)
def test_writing_twice_is_writing_once(mode: str) -> None:
    packet = rebuild(rich_xmp(), lambda known: keeps(known, MODES[mode]))
    assert packet is not None
    assert rebuild(packet, lambda known: keeps(known, MODES[mode])) == packet
    block = select(rich_exif(">"), Selection(MODES[mode]), 6).block()
    assert select(block, Selection(MODES[mode]), 6).block() == block


def test_texts_with_marks_and_line_breaks_come_back_as_they_were() -> None:
    text = 'A "quoted" <b>&amp; more\nin two lines'
    escaped = (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("\n", "&#10;")
    )
    xmp = rich_xmp().replace(b'photoshop:Headline="Headline 47.5432101"', f'photoshop:Headline="{escaped}"'.encode())
    packet = rebuild(xmp, lambda known: known.name == "Headline") or b""
    assert escaped.encode() in packet


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_what_says_where_a_panorama_looks_keeps_its_value_byte_for_byte(mode: str, to: ImageFormat) -> None:
    before = FILES[to]("<")
    after = finished(before, MODES[mode])
    said, kept = (dict(re.findall(rb'(GPano:[A-Za-z]+)="([^"]*)"', data)) for data in (before, after))
    wanted = {name for name in said if re.search(rb"ProjectionType|FullPano|CroppedArea|PosePitch|PoseRoll", name)}
    assert len(wanted) >= 6
    assert {name: kept.get(name) for name in wanted} == {name: said[name] for name in wanted}
