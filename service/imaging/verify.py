"""The last look at finished bytes before they leave: every part of the file is one that is meant to be there.

The containers are walked from the first byte to the last against lists of what may occur; anything else, at any place,
is a refusal. Pixels are not decoded.
"""

import struct
import zlib
from collections.abc import Callable

from service.errors import OutputRefused, VeilError
from service.imaging.containers import jpeg, png, tiff, webp
from service.imaging.containers.ifd import INLINE_SIZE, Entry, TiffReader
from service.imaging.formats import ImageFormat
from service.imaging.gpano import rebuild_gpano
from service.imaging.metadata import Carried, carried
from service.imaging.obscuring import Composite

WRITTEN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
SOI = b"\xff\xd8"
ADOBE_SIZE, VP8X_SIZE = 12, 10
WEBP_FLAGS = webp.ICC_FLAG | webp.XMP_FLAG | webp.ALPHA


def verify(data: bytes, to: ImageFormat, composite: Composite) -> None:
    """Returns if `data` is a `to` file with the size, turn and metadata that `composite` calls for, and nothing more.

    Raises OutputRefused, whose `cause` says what was found.
    """
    expected = carried(composite.raster, to)
    try:
        if expected.gpano:
            _require(rebuild_gpano(expected.gpano)[0] == expected.gpano, "the projection packet holds something else")
        CHECKS[to](data, expected)
    except OutputRefused:
        raise
    except (VeilError, ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
        raise OutputRefused(cause=f"{to.value} structure: {getattr(error, 'cause', None) or error}") from None


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise OutputRefused(cause=otherwise)


def _check_jpeg(data: bytes, expected: Carried) -> None:
    _require(data.startswith(SOI), "no JPEG")
    segments, end = jpeg.read_segments(data)
    _require(end == len(data), "bytes after the end of the picture")
    found: dict[bytes, bytes] = {}
    profile: list[bytes] = []
    at = len(SOI)
    for each in segments:
        _require(each.start == at, "bytes between segments")
        at = each.end
        payload = data[each.payload : each.end]
        match each.marker:
            case jpeg.APP0:
                _take(found, jpeg.JFIF, payload)
            case jpeg.APP1:
                _take(found, jpeg.EXIF if payload.startswith(jpeg.EXIF) else jpeg.XMP, payload)
            case jpeg.APP2:
                head = jpeg.ICC + bytes((len(profile) + 1,))
                _require(payload.startswith(head), "an APP2 segment that is no profile")
                profile.append(payload[len(head) + 1 :])
            case jpeg.APP14:
                _require(payload.startswith(jpeg.ADOBE) and len(payload) == ADOBE_SIZE, "an odd Adobe segment")
            case jpeg.DQT | jpeg.DHT | jpeg.DRI | jpeg.SOS:
                pass
            case marker if marker in WRITTEN_FRAMES:
                height, width = struct.unpack_from(">HH", payload, 1)
                _require((width, height) == (expected.width, expected.height), "another size")
            case marker:
                _require(False, f"a segment of marker {marker:02x}")
    jfif = found.pop(jpeg.JFIF, None)
    _require(jfif is None or jpeg.JFIF + jfif == jpeg.jfif_payload(expected.pixels_per_mm), "an odd JFIF segment")
    wanted = {jpeg.EXIF: expected.exif, jpeg.XMP: expected.gpano}
    _require(found == {k: v for k, v in wanted.items() if v}, "other metadata than is meant to be there")
    _require(b"".join(profile) == (expected.icc or b""), "another color profile")


def _take(found: dict[bytes, bytes], prefix: bytes, payload: bytes) -> None:
    _require(payload.startswith(prefix) and prefix not in found, "a segment that is not meant to be there")
    found[prefix] = payload[len(prefix) :]


def _check_png(data: bytes, expected: Carried) -> None:
    _require(data.startswith(png.SIGNATURE), "no PNG")
    chunks = list(png.read_chunks(data))
    _require(chunks[-1].end == len(data), "bytes after the end of the picture")
    names = [each.name for each in chunks if each.name != b"IDAT"]
    _require(
        len(set(names)) == len(names) and set(names) <= {b"IHDR", b"iCCP", b"pHYs", b"iTXt", b"IEND"}, "odd chunks"
    )
    payloads = {each.name: data[each.start + 8 : each.end - 4] for each in chunks if each.name != b"IDAT"}
    _require(struct.unpack_from(">II", payloads[b"IHDR"]) == (expected.width, expected.height), "another size")
    _require(payloads.get(b"pHYs") == png.density_payload(expected.pixels_per_mm), "another pixel density")
    header = png.read_header(data)
    _require(header.icc == expected.icc, "another color profile")
    _require(header.xmp == expected.gpano, "another XMP packet")
    _require((b"iCCP" in names, b"iTXt" in names) == (bool(expected.icc), bool(expected.gpano)), "odd chunks")


def _check_webp(data: bytes, expected: Carried) -> None:
    _require(data[:4] == b"RIFF" and data[8:12] == b"WEBP", "no WebP")
    _require(struct.unpack_from("<I", data, 4)[0] + 8 == len(data), "bytes after the end of the picture")
    chunks = webp.read_chunks(data)
    last = chunks[-1]
    _require(last.end + ((last.end - last.start) & 1) == len(data), "bytes after the last chunk")
    names = [each.name for each in chunks]
    known = {b"VP8X", b"ICCP", b"ALPH", b"XMP ", *webp.BITSTREAMS}
    _require(len(set(names)) == len(names) and set(names) <= known, "odd chunks")
    for each in chunks:
        if each.name == b"VP8X":
            _require(each.end - each.start == VP8X_SIZE and not data[each.start] & ~WEBP_FLAGS, "an odd VP8X chunk")
    header = webp.read_header(data)
    _require((header.width, header.height) == (expected.width, expected.height), "another size")
    _require(header.icc == expected.icc, "another color profile")
    _require(header.xmp == expected.gpano, "another XMP packet")


def _check_tiff(data: bytes, expected: Carried) -> None:
    reader = TiffReader(data)
    directory = reader.directory(reader.first_offset)
    _require(not reader.big and directory.next_offset == 0, "more than one directory")
    optional = {tag for tag, value in ((tiff.XMP, expected.gpano), (tiff.ICC, expected.icc)) if value}
    _require(directory.entries.keys() <= tiff.WRITTEN | optional, "odd tags")

    def value(tag: int) -> bytes:
        return reader.value(directory.entries[tag])

    def number(tag: int) -> int:
        return reader.integers(directory.entries[tag])[0]

    _require((number(tiff.WIDTH), number(tiff.HEIGHT)) == (expected.width, expected.height), "another size")
    for tag, meant in ((tiff.XMP, expected.gpano), (tiff.ICC, expected.icc)):
        _require(meant is None or value(tag) == meant, "other metadata than is meant to be there")
    strips = zip(
        reader.integers(directory.entries[tiff.STRIP_OFFSETS]),
        reader.integers(directory.entries[tiff.STRIP_COUNTS]),
        strict=True,
    )
    blocks = [(0, 8), (directory.at, directory.size), *strips, *map(_block, directory.entries.values())]
    _require(directory.at + directory.size == len(data), "bytes after the directory")
    _require(_unclaimed(data, blocks) == b"", "bytes that belong to nothing")


def _block(entry: Entry) -> tuple[int, int]:
    """Where the values of `entry` are, if they are not inside the entry itself."""
    return (entry.at, entry.size) if entry.size > INLINE_SIZE else (0, 0)


def _unclaimed(data: bytes, blocks: list[tuple[int, int]]) -> bytes:
    """What of `data` is in none of the (offset, length) `blocks`, but for single zero bytes that even out an offset."""
    left, at = b"", 0
    for offset, length in sorted(blocks):
        gap = data[at:offset]
        left += b"" if gap == b"\0" else gap
        at = max(at, offset + length)
    return left


CHECKS: dict[ImageFormat, Callable[[bytes, Carried], None]] = {
    ImageFormat.JPEG: _check_jpeg,
    ImageFormat.PNG: _check_png,
    ImageFormat.WEBP: _check_webp,
    ImageFormat.TIFF: _check_tiff,
}
