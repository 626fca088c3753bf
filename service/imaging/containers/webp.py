"""WebP: the chunks of its RIFF file (RFC 9649), and where ICC and XMP go."""

import struct
from dataclasses import dataclass

from service.errors import CorruptImage, UnsupportedFrames
from service.imaging.containers.header import MAX_XMP_BYTES, Header
from service.imaging.metadata import Carried, orientation_of
from service.imaging.raster import ColorModel

HEADER_SIZE = 12
MAX_CHUNKS = 10_000
ANIMATION, XMP_FLAG, EXIF_FLAG, ALPHA, ICC_FLAG = 0x02, 0x04, 0x08, 0x10, 0x20
LOSSY, LOSSLESS = b"VP8 ", b"VP8L"
BITSTREAMS = (LOSSY, LOSSLESS)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: `data[start:end]` is its payload, without the padding byte of an odd size."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Bitstream:
    """What the frame header inside VP8 or VP8L says."""

    width: int
    height: int
    alpha: bool


def read_chunks(data: bytes) -> list[Chunk]:
    """All chunks inside the RIFF size; what follows is no part of the picture. Raises CorruptImage."""
    end_of_file = struct.unpack_from("<I", data, 4)[0] + 8
    if end_of_file > len(data) + 1:  # some writers count a last padding byte that they do not write
        raise CorruptImage(cause="the file is shorter than its RIFF size")
    chunks: list[Chunk] = []
    at = HEADER_SIZE
    while at + 8 <= end_of_file and len(chunks) < MAX_CHUNKS:
        (length,) = struct.unpack_from("<I", data, at + 4)
        chunk = Chunk(data[at : at + 4], at + 8, at + 8 + length)
        if chunk.end > min(end_of_file, len(data)):
            raise CorruptImage(cause="a chunk is longer than the file")
        chunks.append(chunk)
        at = chunk.end + (length & 1)
    return chunks


def read_bitstream(data: bytes, chunk: Chunk) -> Bitstream:
    """The frame header: RFC 6386 §9.1 for VP8, RFC 9649 §3.4 for VP8L. Raises CorruptImage or struct.error."""
    if chunk.name == LOSSY:
        tag, code, width, height = struct.unpack_from("<3s3sHH", data, chunk.start)
        if tag[0] & 1 or code != b"\x9d\x01\x2a":
            raise CorruptImage(cause="no VP8 key frame")
        return Bitstream(width & 0x3FFF, height & 0x3FFF, alpha=False)
    signature, bits = struct.unpack_from("<BI", data, chunk.start)
    if signature != 0x2F or bits >> 29:  # noqa: PLR2004 - the signature byte, and version 0
        raise CorruptImage(cause="no VP8L signature")
    return Bitstream((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, alpha=bool(bits >> 28 & 1))


def read_header(data: bytes) -> Header:
    """What the chunks say. Raises CorruptImage, UnsupportedFrames or struct.error."""
    chunks = read_chunks(data)
    first = {each.name: each for each in reversed(chunks)}
    flags = data[first[b"VP8X"].start] if b"VP8X" in first else 0
    if flags & ANIMATION or b"ANIM" in first or b"ANMF" in first:
        raise UnsupportedFrames("The WebP is animated; send each frame as a picture of its own.")
    streams = [each for each in chunks if each.name in BITSTREAMS]
    if len(streams) != 1:
        raise CorruptImage(cause=f"{len(streams)} bitstreams")
    stream = read_bitstream(data, streams[0])
    if b"VP8X" in first and canvas(data, first[b"VP8X"]) != (stream.width, stream.height):
        raise CorruptImage(cause="canvas and bitstream differ in size")

    def payload(name: bytes) -> bytes | None:
        return data[first[name].start : first[name].end] if name in first else None

    exif, xmp = (payload(b"EXIF") or b"").removeprefix(b"Exif\0\0") or None, payload(b"XMP ")
    lossless = streams[0].name == LOSSLESS
    return Header(
        width=stream.width,
        height=stream.height,
        bit_depth=8,
        color=ColorModel.RGB,
        alpha=stream.alpha or b"ALPH" in first,
        orientation=orientation_of(exif) if exif else 1,
        icc=payload(b"ICCP"),
        exif=exif,
        xmp=xmp if xmp and len(xmp) <= MAX_XMP_BYTES else None,
        lossless=lossless,
        full_chroma=lossless,
    )


def canvas(data: bytes, vp8x: Chunk) -> tuple[int, int]:
    """Width and height of the VP8X chunk."""
    low, high, height_low, height_high = struct.unpack_from("<HBHB", data, vp8x.start + 4)
    return (low | high << 16) + 1, (height_low | height_high << 16) + 1


def pixels_only(data: bytes) -> bytes:
    """The same picture with nothing in it but what a decoder needs."""
    return _build(data, None)


def attach(data: bytes, extra: Carried) -> bytes:
    """`data`, a WebP fresh from the encoder, with the ICC, EXIF and XMP chunks of `extra`."""
    return _build(data, extra)


def _build(data: bytes, extra: Carried | None) -> bytes:
    chunks = read_chunks(data)
    stream = next(each for each in chunks if each.name in BITSTREAMS)
    # RFC 9649 §2.7.1.2: ALPH belongs to VP8 alone, VP8L has its own alpha.
    alpha = next((each for each in chunks if each.name == b"ALPH" and stream.name == LOSSY), None)
    frame = read_bitstream(data, stream)
    icc, exif, xmp = (extra.icc, extra.exif, extra.xmp) if extra else (None, None, None)
    flags = (ICC_FLAG if icc else 0) | (EXIF_FLAG if exif else 0) | (XMP_FLAG if xmp else 0)
    flags |= ALPHA if alpha or frame.alpha else 0
    parts: list[bytes] = []
    if icc or exif or xmp or alpha:
        size = struct.pack("<IHBHB", flags, *_split(frame.width - 1), *_split(frame.height - 1))
        parts.append(_chunk(b"VP8X", size))
    if icc:
        parts.append(_chunk(b"ICCP", icc))
    if alpha:
        parts.append(_chunk(b"ALPH", data[alpha.start : alpha.end]))
    parts.append(_chunk(stream.name, data[stream.start : stream.end]))
    if exif:
        parts.append(_chunk(b"EXIF", exif))
    if xmp:
        parts.append(_chunk(b"XMP ", xmp))
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, parts))) + b"WEBP" + b"".join(parts)


def _split(value: int) -> tuple[int, int]:
    return value & 0xFFFF, value >> 16


def _chunk(name: bytes, payload: bytes) -> bytes:
    return name + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) & 1)
