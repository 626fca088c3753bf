"""The last look at finished bytes before they leave: every part of the file is one that is meant to be there.

The containers are walked from the first byte to the last against lists of what may occur; anything else, at any place,
is a refusal. Pixels are not decoded.
"""

import struct
import zlib
from collections.abc import Callable

from service.errors import OutputRefused, VeilError
from service.imaging.containers import jpeg, png, tiff, webp
from service.imaging.containers.ifd import TiffReader
from service.imaging.exif_tags import Group, Selection
from service.imaging.formats import ImageFormat
from service.imaging.layers import Cover
from service.imaging.metadata import STRIP, Carried, carried
from service.imaging.verify_avif import check_avif
from service.imaging.verify_bmp import check_bmp
from service.imaging.verify_metadata import HEADER, check_directories, check_exif, check_xmp, require, unclaimed
from service.policy import MetadataPolicy

WRITTEN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
SOI = b"\xff\xd8"
VP8X_SIZE = 10
MOST_PER_TAG = 16
"""Bytes of the longest value that says how pixels are coded: a number for each of five channels."""

TIFF_OWN = tiff.WRITTEN | {tiff.XMP, tiff.ICC}


def verify(data: bytes, to: ImageFormat, cover: Cover, keep: MetadataPolicy = STRIP) -> None:
    """Returns if `data` is a `to` file of the size, turn and metadata that the picture of `cover` and `keep` call for.

    Raises OutputRefused, whose `cause` says what was found.
    """
    expected = carried(cover.raster, to, keep)
    try:
        if expected.xmp:
            check_xmp(expected.xmp, keep)
        if expected.exif:
            check_exif(expected.exif, keep)
        CHECKS[to](data, expected, keep)
    except OutputRefused:
        raise
    except (VeilError, ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
        raise OutputRefused(cause=f"{to.value} structure: {getattr(error, 'cause', None) or error}") from None


def _check_jpeg(data: bytes, expected: Carried, _: MetadataPolicy) -> None:
    require(data.startswith(SOI), "no JPEG")
    segments, end = jpeg.read_segments(data)
    require(end == len(data), "bytes after the end of the picture")
    found: dict[bytes, bytes] = {}
    profile: list[bytes] = []
    at = len(SOI)
    for each in segments:
        require(each.start == at, "bytes between segments")
        at = each.end
        payload = data[each.payload : each.end]
        match each.marker:
            case jpeg.APP0:
                _take(found, jpeg.JFIF, payload)
            case jpeg.APP1:
                _take(found, jpeg.EXIF if payload.startswith(jpeg.EXIF) else jpeg.XMP, payload)
            case jpeg.APP2:
                head = jpeg.ICC + bytes((len(profile) + 1,))
                require(payload.startswith(head), "an APP2 segment that is no profile")
                profile.append(payload[len(head) + 1 :])
            case jpeg.APP14:
                require(payload.startswith(jpeg.ADOBE) and len(payload) == jpeg.ADOBE_SIZE, "an odd Adobe segment")
            case jpeg.DQT | jpeg.DHT | jpeg.DRI | jpeg.SOS:
                require(_table_fits(each.marker, payload), f"bytes beside the content of segment {each.marker:02x}")
            case marker if marker in WRITTEN_FRAMES:
                height, width, components = struct.unpack_from(">HHB", payload, 1)
                require((width, height) == (expected.width, expected.height), "another size")
                require(len(payload) == 6 + 3 * components, "bytes beside the content of the frame header")
            case marker:
                require(False, f"a segment of marker {marker:02x}")
    jfif = found.pop(jpeg.JFIF, None)
    require(jfif is None or jpeg.JFIF + jfif == jpeg.jfif_payload(expected.pixels_per_mm), "an odd JFIF segment")
    wanted = {jpeg.EXIF: expected.exif, jpeg.XMP: expected.xmp}
    require(found == {k: v for k, v in wanted.items() if v}, "other metadata than is meant to be there")
    require(b"".join(profile) == (expected.icc or b""), "another color profile")


def _table_fits(marker: int, payload: bytes) -> bool:
    """Whether `payload` is as long as its content says (T.81 §B.2.3, §B.2.4); of SOS, whether its header is."""
    at = 0
    match marker:
        case jpeg.DQT:
            while at < len(payload):
                at += 1 + 64 * (1 + (payload[at] >> 4))
        case jpeg.DHT:
            while at < len(payload):
                at += 17 + sum(payload[at + 1 : at + 17])
        case jpeg.DRI:
            at = 2
        case _:
            # The scan's coded data follow its header: three bytes of spectral selection end that.
            return len(payload) > 4 + 2 * payload[0] and 1 <= payload[0] <= 4  # noqa: PLR2004
    return at == len(payload)


def _take(found: dict[bytes, bytes], prefix: bytes, payload: bytes) -> None:
    require(payload.startswith(prefix) and prefix not in found, "a segment that is not meant to be there")
    found[prefix] = payload[len(prefix) :]


def _check_png(data: bytes, expected: Carried, _: MetadataPolicy) -> None:
    require(data.startswith(png.SIGNATURE), "no PNG")
    chunks = list(png.read_chunks(data))
    require(chunks[-1].end == len(data), "bytes after the end of the picture")
    others = [each for each in chunks if each.name != b"IDAT"]
    payloads = {each.name: data[each.start + 8 : each.end - 4] for each in others}
    require(len(payloads) == len(others), "a chunk twice")
    for each in chunks:
        crc = zlib.crc32(memoryview(data)[each.start + 4 : each.end - 4])
        require(data[each.end - 4 : each.end] == struct.pack(">I", crc), "a wrong checksum")
    require(struct.unpack_from(">II", payloads.pop(b"IHDR")) == (expected.width, expected.height), "another size")
    require(payloads.pop(b"IEND") == b"", "bytes in IEND")
    header = png.read_header(data)
    profile = payloads.pop(b"iCCP", None)
    require(header.icc == expected.icc and (profile is None) == (expected.icc is None), "another color profile")
    require(profile is None or png.whole_profile(profile), "bytes beside the color profile")
    wanted = dict(expected.png_color) | {b"pHYs": png.density_payload(expected.pixels_per_mm)}
    if expected.exif:
        wanted[b"eXIf"] = expected.exif
    if expected.xmp:
        wanted[b"iTXt"] = png.xmp_payload(expected.xmp)
    require(payloads == wanted, "other chunks than are meant to be there")


def _check_webp(data: bytes, expected: Carried, _: MetadataPolicy) -> None:
    require(data[:4] == b"RIFF" and data[8:12] == b"WEBP", "no WebP")
    require(struct.unpack_from("<I", data, 4)[0] + 8 == len(data), "bytes after the end of the picture")
    chunks = webp.read_chunks(data)
    last = chunks[-1]
    require(last.end + ((last.end - last.start) & 1) == len(data), "bytes after the last chunk")
    names = [each.name for each in chunks]
    known = {b"VP8X", b"ICCP", b"ALPH", b"EXIF", b"XMP ", *webp.BITSTREAMS}
    require(len(set(names)) == len(names) and set(names) <= known, "odd chunks")
    for each in chunks:
        require((each.end - each.start) & 1 == 0 or data[each.end] == 0, "a padding byte that is not zero")
        if each.name == b"VP8X":
            require(each.end - each.start == VP8X_SIZE, "an odd VP8X chunk")
            wanted = (webp.ICC_FLAG if expected.icc else 0) | (webp.EXIF_FLAG if expected.exif else 0)
            wanted |= webp.XMP_FLAG if expected.xmp else 0
            require(data[each.start] & ~webp.ALPHA == wanted, "odd flags")
            require(not any(data[each.start + 1 : each.start + 4]), "an odd VP8X chunk")
    header = webp.read_header(data)
    require((header.width, header.height) == (expected.width, expected.height), "another size")
    require(header.icc == expected.icc, "another color profile")
    require(header.exif == expected.exif and (b"EXIF" in names) == (expected.exif is not None), "other EXIF")
    require(header.xmp == expected.xmp, "another XMP packet")


def _check_tiff(data: bytes, expected: Carried, keep: MetadataPolicy) -> None:
    reader = TiffReader(data)
    found, blocks = check_directories(reader, Selection(keep, in_tiff=True), TIFF_OWN)
    entries = reader.directory(reader.first_offset).entries
    size = tuple(reader.integers(entries[tag])[0] for tag in (tiff.WIDTH, tiff.HEIGHT))
    require(size == (expected.width, expected.height), "another size")
    for tag in entries.keys() & tiff.WRITTEN - {tiff.STRIP_OFFSETS, tiff.STRIP_COUNTS}:
        require(entries[tag].size <= MOST_PER_TAG, "a tag with more than it needs")
    for tag, meant in ((tiff.XMP, expected.xmp), (tiff.ICC, expected.icc)):
        value = reader.value(entries[tag]) if tag in entries else None
        require(value == meant, "other metadata than is meant to be there")
    found[Group.IMAGE] = {tag: each for tag, each in found[Group.IMAGE].items() if tag not in TIFF_OWN}
    meant_fields = expected.directories.in_order(reader.order)
    for group in Group:
        fields = {
            tag: each for tag, each in meant_fields.of(group).items() if group != Group.IMAGE or tag not in TIFF_OWN
        }
        require(found.get(group, {}) == fields, "other metadata than is meant to be there")
    strips = zip(reader.integers(entries[tiff.STRIP_OFFSETS]), reader.integers(entries[tiff.STRIP_COUNTS]), strict=True)
    require(unclaimed(data, [HEADER, *blocks, *strips]) == b"", "bytes that belong to nothing")


CHECKS: dict[ImageFormat, Callable[[bytes, Carried, MetadataPolicy], None]] = {
    ImageFormat.JPEG: _check_jpeg,
    ImageFormat.PNG: _check_png,
    ImageFormat.WEBP: _check_webp,
    ImageFormat.TIFF: _check_tiff,
    ImageFormat.AVIF: check_avif,
    ImageFormat.BMP: check_bmp,
}
