"""PNG: chunks from IHDR to IEND (PNG Third Edition), and where ICC, XMP and the pixel density go."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from service.errors import CorruptImage, UnsupportedFormat, UnsupportedFrames
from service.imaging.containers.header import MAX_PROFILE_BYTES, MAX_XMP_BYTES, Header
from service.imaging.metadata import Carried, orientation_of
from service.imaging.raster import ColorModel

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PROFILE_HEAD = b"ICC profile\0\0"
XMP_KEYWORD = b"XML:com.adobe.xmp\0"
COLOR_CHUNKS = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
"""What the numbers mean (Third Edition §11.3.2), with the size of each."""

MAX_CHUNKS = 200_000
FOR_DECODER = frozenset({b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"IDAT", b"IEND"})
COLORS = {0: ColorModel.GRAY, 2: ColorModel.RGB, 3: ColorModel.RGB, 4: ColorModel.GRAY, 6: ColorModel.RGB}
DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
WITH_ALPHA = (4, 6)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of `data[start:end]`, length and CRC included; its payload is `data[start + 8 : end - 4]`."""

    name: bytes
    start: int
    end: int


def read_chunks(data: bytes) -> Iterator[Chunk]:
    """All chunks up to and with IEND; what follows is no part of the picture. Raises CorruptImage without IEND."""
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            break
        (length,) = struct.unpack_from(">I", data, at)
        chunk = Chunk(data[at + 4 : at + 8], at, at + 12 + length)
        if chunk.end > len(data):
            break
        yield chunk
        if chunk.name == b"IEND":
            return
        at = chunk.end
    raise CorruptImage(cause="the chunks do not lead to IEND")


def read_header(data: bytes) -> Header:
    """What the chunks say. Raises CorruptImage, UnsupportedFormat, UnsupportedFrames, IndexError or struct.error."""
    first: dict[bytes, bytes] = {}
    xmp: bytes | None = None
    for index, each in enumerate(read_chunks(data)):
        if (index == 0) != (each.name == b"IHDR"):
            raise CorruptImage(cause="IHDR is not the first chunk")
        if each.name == b"acTL":
            raise UnsupportedFrames("The PNG is animated; send each frame as a picture of its own.")
        if each.name == b"CgBI":
            raise UnsupportedFormat("Apple's own variant of PNG is not read; save the picture as plain PNG.")
        if each.name in (b"IHDR", b"iCCP", b"eXIf", b"tRNS", *COLOR_CHUNKS):
            first.setdefault(each.name, data[each.start + 8 : each.end - 4])
        elif each.name in (b"iTXt", b"zTXt") and data.startswith(XMP_KEYWORD, each.start + 8):
            xmp = xmp or _text(each.name, data[each.start + 8 + len(XMP_KEYWORD) : each.end - 4])
    width, height, depth, kind = struct.unpack_from(">IIBB", first[b"IHDR"])
    if depth not in DEPTHS.get(kind, ()):
        raise CorruptImage(cause=f"color type {kind} with bit depth {depth}")
    exif = first.get(b"eXIf", b"").removeprefix(b"Exif\0\0") or None
    return Header(
        width=width,
        height=height,
        bit_depth=16 if depth == 16 else 8,  # noqa: PLR2004
        color=COLORS[kind],
        alpha=kind in WITH_ALPHA or b"tRNS" in first,
        orientation=orientation_of(exif) if exif else 1,
        icc=_profile(first.get(b"iCCP")),
        exif=exif,
        xmp=xmp,
        png_color=tuple(
            (name, first[name]) for name, size in COLOR_CHUNKS.items() if len(first.get(name, b"")) == size
        ),
    )


def _profile(payload: bytes | None) -> bytes | None:
    """The inflated profile of an iCCP chunk; None if it is absent or broken, as decoders then ignore it."""
    name, separator, packed = (payload or b"").partition(b"\0")
    return _inflate(packed[1:], MAX_PROFILE_BYTES) if name and separator else None


def _text(name: bytes, payload: bytes) -> bytes | None:
    """The text after the keyword of an iTXt or zTXt chunk; None if it is broken or too large to be looked at."""
    if name == b"zTXt":
        return _inflate(payload[1:], MAX_XMP_BYTES)
    compressed = payload[:1] == b"\x01"
    text = payload[2:].split(b"\0", 2)[-1]
    return _inflate(text, MAX_XMP_BYTES) if compressed else text


def _inflate(packed: bytes, limit: int) -> bytes | None:
    """At most `limit` bytes; None if there are more, or the stream is broken."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(packed, limit)
    except zlib.error:
        return None
    return plain if stream.eof else None


def pixels_only(data: bytes) -> bytes:
    """The same picture with nothing in it but what a decoder needs."""
    kept = [data[each.start : each.end] for each in read_chunks(data) if each.name in FOR_DECODER]
    return SIGNATURE + b"".join(kept)


def attach(data: bytes, extra: Carried) -> bytes:
    """`data`, a PNG fresh from the encoder, as IHDR, the chunks of `extra`, IDAT and IEND."""
    chunks = list(read_chunks(data))
    parts = [SIGNATURE, data[chunks[0].start : chunks[0].end]]
    parts += [_chunk(name, payload) for name, payload in extra.png_color]
    if extra.icc:
        parts.append(_chunk(b"iCCP", PROFILE_HEAD + zlib.compress(extra.icc, 9)))
    parts.append(_chunk(b"pHYs", density_payload(extra.pixels_per_mm)))
    if extra.exif:
        parts.append(_chunk(b"eXIf", extra.exif))
    if extra.xmp:
        parts.append(_chunk(b"iTXt", xmp_payload(extra.xmp)))
    parts += [data[each.start : each.end] for each in chunks if each.name in (b"IDAT", b"IEND")]
    return b"".join(parts)


def density_payload(pixels_per_mm: tuple[float, float]) -> bytes:
    """The payload of pHYs: pixels per meter."""
    across, down = (min(2**31 - 1, max(1, round(value * 1000))) for value in pixels_per_mm)
    return struct.pack(">IIB", across, down, 1)


def xmp_payload(packet: bytes) -> bytes:
    """The payload of iTXt for XMP: not compressed, no language."""
    return XMP_KEYWORD + b"\0\0\0\0" + packet


def whole_profile(payload: bytes) -> bool:
    """Whether a payload of iCCP is a compressed profile as it is written here, with nothing before or behind it."""
    stream = zlib.decompressobj()
    try:
        stream.decompress(payload[len(PROFILE_HEAD) :], MAX_PROFILE_BYTES)
    except zlib.error:
        return False
    return payload.startswith(PROFILE_HEAD) and stream.eof and not stream.unused_data


def _chunk(name: bytes, payload: bytes) -> bytes:
    body = name + payload
    return struct.pack(">I", len(payload)) + body + struct.pack(">I", zlib.crc32(body))
