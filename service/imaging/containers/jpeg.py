"""JPEG: segments from SOI to EOI (ITU-T T.81 Annex B), JFIF, and where EXIF, XMP and ICC go."""

import re
import struct
from dataclasses import dataclass

from service.errors import CorruptImage, UnsupportedFormat
from service.imaging.containers.header import Header
from service.imaging.metadata import Carried, orientation_of
from service.imaging.raster import ColorModel

SOI, EOI, SOS, DQT, DHT, DRI, DAC = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xCC
APP0, APP1, APP2, APP14, COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, DAC}
DECODABLE_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Baseline, extended and progressive, Huffman or arithmetic: no lossless and no hierarchical processes."""

STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
EXIF, XMP, ICC, JFIF, ADOBE = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"JFIF\0", b"Adobe"
ADOBE_MARKER = b"\xff\xee"
ADOBE_SIZE = 12
"""Bytes of an Adobe segment that says nothing but what the components are."""

FOR_DECODER = frozenset({DQT, DHT, DRI, DAC, SOS}) | FRAMES

AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""The marker that ends entropy-coded data: neither a stuffed byte, a fill byte nor a restart."""

MAX_SEGMENTS = 65_536
MAX_SCANS = 100
"""A progressive picture of honest making has 10 or so; each costs a pass over all coefficients."""

MAX_PAYLOAD = 65_533
MM_PER_INCH = 25.4
COLORS = {1: ColorModel.GRAY, 3: ColorModel.RGB, 4: ColorModel.CMYK}


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of `data[start:end]`; its payload begins at `payload`. SOS includes its entropy-coded data."""

    marker: int
    start: int
    payload: int
    end: int


def read_segments(data: bytes, *, head: bool = False) -> tuple[list[Segment], int]:
    """All segments between SOI and the first EOI, and the offset just after that EOI.

    What follows it (second images, films) is no part of the picture. With `head`, only the segments before the first
    scan, and where that begins. Raises CorruptImage if the end is never reached.
    """
    segments: list[Segment] = []
    scans, at = 0, 2
    while True:
        if data[at : at + 1] != b"\xff":
            raise CorruptImage(cause=f"marker expected at byte {at}")
        while data[at + 1 : at + 2] == b"\xff":
            at += 1
        marker = data[at + 1] if at + 1 < len(data) else -1
        if marker == EOI:
            return segments, at + 2
        if marker in STANDALONE:
            at += 2
            continue
        if marker <= 0 or marker == SOI or at + 4 > len(data):
            raise CorruptImage(cause=f"no segment at byte {at}")
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        payload, start = at + 4, at
        if marker == SOS and head:
            return segments, at
        if marker == SOS:
            scans += 1
            following = AFTER_SCAN.search(data, end)
            end = following.start() if following else len(data)
        if end < payload or end >= len(data):
            raise CorruptImage(cause="the picture ends before its end marker")
        segments.append(Segment(marker, start, payload, end))
        if len(segments) > MAX_SEGMENTS or scans > MAX_SCANS:
            raise CorruptImage(cause="more segments or scans than a picture has")
        at = end


def read_header(data: bytes) -> Header:
    """What the segments say. Raises CorruptImage, UnsupportedFormat, IndexError or struct.error."""
    segments, _ = read_segments(data)
    frames = [s for s in segments if s.marker in FRAMES]
    if len(frames) != 1 or not any(s.marker == SOS for s in segments):
        raise CorruptImage(cause=f"{len(frames)} frames")
    frame = frames[0]
    precision, height, width, components = struct.unpack_from(">BHHB", data, frame.payload)
    if frame.marker not in DECODABLE_FRAMES or precision != 8 or components not in COLORS:  # noqa: PLR2004
        raise UnsupportedFormat("Of JPEG, only the 8-bit lossy kinds with one, three or four components are read.")
    luma_sampling = data[frame.payload + 7]
    exif = _first(data, segments, APP1, EXIF)
    return Header(
        width=width,
        height=height,
        bit_depth=8,
        color=COLORS[components],
        alpha=False,
        orientation=orientation_of(exif) if exif else 1,
        icc=_join_icc(data, segments),
        exif=exif,
        xmp=_first(data, segments, APP1, XMP),
        lossless=False,
        full_chroma=components == 1 or luma_sampling != 0x22,  # noqa: PLR2004 - 2×2: 4:2:0
    )


def _first(data: bytes, segments: list[Segment], marker: int, prefix: bytes) -> bytes | None:
    for each in segments:
        if each.marker == marker and data.startswith(prefix, each.payload, each.end):
            return data[each.payload + len(prefix) : each.end]
    return None


def _join_icc(data: bytes, segments: list[Segment]) -> bytes | None:
    """The profile from its numbered pieces (ICC.1 Annex B.4), None unless exactly all of them are there."""
    pieces: dict[int, bytes] = {}
    total = 0
    for each in segments:
        if each.marker == APP2 and data.startswith(ICC, each.payload, each.end):
            number, total = struct.unpack_from("BB", data, each.payload + len(ICC))
            pieces.setdefault(number, data[each.payload + len(ICC) + 2 : each.end])
    if not pieces or sorted(pieces) != list(range(1, total + 1)):
        return None
    return b"".join(pieces[number] for number in sorted(pieces))


def pixels_only(data: bytes) -> bytes:
    """The same picture with nothing in it but what a decoder needs: frame, tables, scans, JFIF and Adobe markers."""
    parts = [b"\xff\xd8"]
    for each in read_segments(data)[0]:
        jfif = each.marker == APP0 and data.startswith(JFIF, each.payload, each.end)
        adobe = each.marker == APP14 and data.startswith(ADOBE, each.payload, each.end)
        if each.marker in FOR_DECODER or jfif or adobe:
            parts.append(data[each.start : each.end])
    parts.append(b"\xff\xd9")
    return b"".join(parts)


def bare(data: bytes, *, adobe: bool) -> bytes:
    """`data`, fresh from an encoder, without the APPn segments that it wrote, but for Adobe's, if `adobe`."""
    parts = [memoryview(b"\xff\xd8")]
    whole = memoryview(data)
    segments, scans = read_segments(data, head=True)
    for each in segments:
        if each.marker in FOR_DECODER or (adobe and each.marker == APP14):
            parts.append(whole[each.start : each.end])
    parts.append(whole[scans:])
    return b"".join(parts)


def attach(data: bytes, extra: Carried) -> bytes:
    """`data`, a JPEG fresh from the encoder (no APPn but Adobe), with JFIF, EXIF, XMP and ICC segments of `extra`.

    Where an Adobe segment says what the components are, JFIF, which says YCbCr, must not contradict it.
    """
    parts: list[bytes | memoryview] = [data[:2]]
    if not data.startswith(ADOBE_MARKER, 2) and extra.color is not ColorModel.CMYK:
        parts.append(_segment(APP0, jfif_payload(extra.pixels_per_mm)))
    if extra.exif:
        parts.append(_segment(APP1, EXIF + extra.exif))
    if extra.xmp:
        parts.append(_segment(APP1, XMP + extra.xmp))
    if extra.icc:
        size = MAX_PAYLOAD - len(ICC) - 2
        pieces = [extra.icc[i : i + size] for i in range(0, len(extra.icc), size)]
        parts += [_segment(APP2, ICC + bytes((i + 1, len(pieces))) + piece) for i, piece in enumerate(pieces)]
    parts.append(memoryview(data)[2:])
    return b"".join(parts)


def jfif_payload(pixels_per_mm: tuple[float, float]) -> bytes:
    """A JFIF 1.02 header in dots per inch, without the thumbnail that it could hold."""
    across, down = (min(65_535, max(1, round(value * MM_PER_INCH))) for value in pixels_per_mm)
    return JFIF + struct.pack(">BBBHHBB", 1, 2, 1, across, down, 0, 0)


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
