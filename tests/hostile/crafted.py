"""Files that somebody made on purpose: bombs, lies, loops. Each with what must come of it."""

import functools
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.images import (
    Array,
    jpeg_segment,
    picture,
    png_by_hand,
    png_chunk,
    with_pillow,
    with_tifffile,
)
from tests.stills import heic, jp2

FINE = 200
WRONG = 422
FOREIGN = 415


@dataclass(frozen=True)
class Crafted:
    """A file and the status that it must end in: the picture as if nothing were, or the problem of its kind."""

    name: str
    data: bytes
    status: int


def lied(data: bytes, at: int, code: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(code, changed, at, *values)
    return bytes(changed)


@functools.cache
def crafted() -> tuple[Crafted, ...]:
    small = picture(48, 64, 3)
    jpeg, png = with_pillow(small, "JPEG"), png_by_hand(small)
    webp, tiff = with_pillow(small, "WEBP"), with_tifffile(small)
    frame = jpeg.index(b"\xff\xc0") + 5
    return (
        Crafted("nothing", b"", WRONG),
        Crafted("one byte", b"\xff", FOREIGN),
        Crafted("zeros", bytes(100_000), FOREIGN),
        Crafted("text", b"GET / HTTP/1.1\r\n\r\n", FOREIGN),
        Crafted("svg with an external entity", SVG, FOREIGN),
        Crafted("zip", b"PK\x03\x04" + bytes(100), FOREIGN),
        Crafted("gif", gif(3), FOREIGN),
        Crafted("jpeg: only the magic", b"\xff\xd8\xff", WRONG),
        Crafted("jpeg: only both ends", b"\xff\xd8\xff\xd9", WRONG),
        Crafted("jpeg: half", jpeg[: len(jpeg) // 2], WRONG),
        Crafted("jpeg: no end marker", jpeg[:-2], WRONG),
        Crafted("jpeg: 65500 × 65500 announced", lied(jpeg, frame, ">HH", 65_500, 65_500), WRONG),
        Crafted("jpeg: within the limit, but not there", lied(jpeg, frame, ">HH", 1900, 2000), WRONG),
        Crafted("jpeg: no height", lied(jpeg, frame, ">HH", 0, 64), WRONG),
        Crafted("jpeg: 12 bits", lied(jpeg, frame - 1, ">B", 12), FOREIGN),
        Crafted("jpeg: progressive with 2000 scans", many_scans(), WRONG),
        Crafted("jpeg: 70000 comments", jpeg[:2] + jpeg_segment(0xFE, b"") * 70_000 + jpeg[2:], WRONG),
        Crafted("jpeg: 5 MB of comments", jpeg[:2] + jpeg_segment(0xFE, bytes(65_000)) * 80 + jpeg[2:], FINE),
        Crafted("jpeg: script in a comment", jpeg[:2] + jpeg_segment(0xFE, b"<?php phpinfo(); ?>") + jpeg[2:], FINE),
        Crafted("jpeg: a second picture after the end", jpeg + jpeg, FINE),
        Crafted("jpeg: EXIF that points at itself", with_exif(jpeg, looped_exif()), FINE),
        Crafted("jpeg: EXIF with endless counts", with_exif(jpeg, endless_exif()), FINE),
        Crafted("jpeg: EXIF of 60 KB of entries", with_exif(jpeg, crowded_exif()), FINE),
        Crafted("jpeg: EXIF whose numbers spell a picture", with_exif(jpeg, spelling_exif()), FINE),
        Crafted(
            "jpeg: EXIF whose text spells a picture", with_exif(jpeg, texts_exif(b"/9j/4AAQSkZJRgABAQAAAQAB")), FINE
        ),
        Crafted("jpeg: EXIF with half a character", with_exif(jpeg, texts_exif(b"caf\xc3")), FINE),
        Crafted("jpeg: XMP whose text spells a picture", with_xmp(jpeg, titled(b"/9j/4AAQSkZJRgABAQAAAQAB")), FINE),
        Crafted("jpeg: XMP that breaks out of its value", with_xmp(jpeg, titled(b"&quot;/>&lt;x&#0;")), FINE),
        Crafted("jpeg: XMP with a billion laughs", with_xmp(jpeg, LAUGHS), FINE),
        Crafted("jpeg: XMP nested 20000 deep", with_xmp(jpeg, b"<a>" * 20_000), FINE),
        Crafted("jpeg: ICC piece 1 of 255", jpeg[:2] + jpeg_segment(0xE2, b"ICC_PROFILE\0\x01\xff") + jpeg[2:], FINE),
        Crafted("png: only the magic", png[:8], WRONG),
        Crafted("png: 900 MP in 1 bit", png_header(30_000, 30_000, 1, 0, zlib.compress(bytes(3_750_000))), WRONG),
        Crafted("png: 2³¹ pixels a side", png_header(2**31 - 1, 2**31 - 1, 8, 2, b""), WRONG),
        Crafted("png: within the limit, but not there", png_header(1900, 2000, 8, 2, zlib.compress(b"")), WRONG),
        Crafted("png: 200 MB behind a tiny picture", png_header(8, 8, 8, 2, zlib.compress(bytes(200_000_000))), FINE),
        Crafted("png: text of 100 MB", with_chunk(png, b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000))), FINE),
        Crafted("png: ICC of 100 MB", with_chunk(png, b"iCCP", b"a\0\0" + zlib.compress(bytes(100_000_000))), FINE),
        Crafted("png: XMP of 100 MB", with_chunk(png, b"iTXt", XMP_CHUNK + zlib.compress(bytes(100_000_000))), FINE),
        Crafted("png: wrong checksum", lied(png, 29, ">I", 0), WRONG),
        Crafted("png: no end", png[:-12], WRONG),
        Crafted("png: animated", with_chunk(png, b"acTL", struct.pack(">II", 3, 0)), WRONG),
        Crafted("webp: only the magic", webp[:12], WRONG),
        Crafted("webp: half", webp[: len(webp) // 2], WRONG),
        Crafted("webp: a size of 4 GB", lied(webp, 4, "<I", 0xFFFF_FFFE), WRONG),
        Crafted("webp: animated", frames("WEBP"), WRONG),
        Crafted("tiff: only the magic", tiff[:4], WRONG),
        Crafted("tiff: directories in a ring", ringed(tiff), WRONG),
        Crafted("tiff: a directory beyond the end", lied(tiff, 4, "<I", 0xFFFF_FF00), WRONG),
        Crafted("tiff: 65535 entries", lied(tiff, struct.unpack_from("<I", tiff, 4)[0], "<H", 0xFFFF), WRONG),
        Crafted("tiff: three pages", frames("TIFF"), WRONG),
        Crafted("tiff: half", tiff[: len(tiff) // 2], WRONG),
        *stills(small),
    )


def stills(small: Array) -> Iterator[Crafted]:
    """BMP, AVIF, HEIC and JPEG 2000 that announce other sizes than they have, or end early."""
    bmp, wavelets = with_pillow(small, "BMP"), jp2(small)
    yield Crafted("bmp: only the magic", bmp[:2], FOREIGN)
    yield Crafted("bmp: 2³¹ - 1 pixels a side", lied(bmp, 18, "<ii", 2**31 - 1, 2**31 - 1), WRONG)
    yield Crafted("bmp: a height of -2³¹", lied(bmp, 22, "<i", -(2**31)), WRONG)
    yield Crafted("bmp: within the limit, but not there", lied(bmp, 18, "<ii", 1900, 2000), WRONG)
    yield Crafted("bmp: pixels beyond the end", lied(bmp, 10, "<I", 0xFFFF_FFF0), WRONG)
    for name, data in (("avif", with_pillow(small, "AVIF", speed=10)), ("heic", heic(small))):
        size = data.index(b"ispe") + 8
        yield Crafted(f"{name}: half", data[: len(data) // 2], WRONG)
        yield Crafted(f"{name}: 65500 × 65500 announced", lied(data, size, ">II", 65_500, 65_500), WRONG)
        yield Crafted(f"{name}: within the limit, but not there", lied(data, size, ">II", 1900, 2000), WRONG)
        yield Crafted(f"{name}: no end of a box", lied(data, data.index(b"meta") - 4, ">I", 0xFFFF_FFFF), WRONG)
        yield Crafted(f"{name}: a box of no size", lied(data, data.index(b"iprp") - 4, ">I", 1), WRONG)
    size = wavelets.index(b"\xff\x51") + 6
    yield Crafted("jpeg 2000: half", wavelets[: len(wavelets) // 2], WRONG)
    yield Crafted("jpeg 2000: 2³¹ pixels a side", lied(wavelets, size, ">II", 2**31, 2**31), WRONG)
    yield Crafted("jpeg 2000: within the limit, but not there", lied(wavelets, size, ">II", 1900, 2000), WRONG)
    yield Crafted("jpeg 2000: 3071 tiles that are not there", lied(wavelets, size + 16, ">II", 1, 1), WRONG)
    yield Crafted("jpeg 2000: tiles of no size", lied(wavelets, size + 16, ">II", 0, 0), WRONG)


SVG = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
XMP_CHUNK = b"XML:com.adobe.xmp\0\x01\0\0\0"
LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(f'<!ENTITY {n} "{f"&{p};" * 10}">'.encode() for p, n in zip("abcdefghi", "bcdefghij", strict=True))
    + b"]><x:xmpmeta xmlns:x='adobe:ns:meta/'>&j;</x:xmpmeta>"
)


def many_scans() -> bytes:
    """A progressive picture whose last scan is there 2000 times: each costs a pass over all coefficients."""
    data = with_pillow(picture(48, 64, 1), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 2000 + data[-2:]


def with_exif(jpeg: bytes, exif: bytes) -> bytes:
    return jpeg[:2] + jpeg_segment(0xE1, b"Exif\0\0" + exif) + jpeg[2:]


def with_xmp(jpeg: bytes, xmp: bytes) -> bytes:
    return jpeg[:2] + jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp[:65_000]) + jpeg[2:]


def looped_exif() -> bytes:
    """Two directories, each of which names the other as its successor, its EXIF and its GPS directory."""

    def directory(other: int) -> bytes:
        entries = [(0x0112, 3, 1, 1), (0x8769, 4, 1, other), (0x8825, 4, 1, other), (0xA005, 4, 1, other)]
        return struct.pack("<H", 4) + b"".join(struct.pack("<HHII", *e) for e in entries) + struct.pack("<I", other)

    return b"II*\0" + struct.pack("<I", 8) + directory(62) + directory(8)


def spelling_exif() -> bytes:
    """A latitude whose seconds are the first eight bytes of a JPEG."""
    gps = struct.pack("<H", 2) + struct.pack("<HHI4s", 1, 2, 2, b"N") + struct.pack("<HHII", 2, 5, 3, 56)
    values = struct.pack("<4I", 51, 1, 24, 1) + b"\xff\xd8\xff\xe0\x00\x10JF"
    image = struct.pack("<HHHIII", 1, 0x8825, 4, 1, 26, 0)
    return b"II*\0" + struct.pack("<I", 8) + image + gps + struct.pack("<I", 0) + values


def texts_exif(text: bytes) -> bytes:
    """`text` as description, artist and copyright."""
    tags = (0x010E, 0x013B, 0x8298)
    at = 8 + 2 + 12 * len(tags) + 4
    body = b"".join(struct.pack("<HHII", tag, 2, len(text) + 1, at) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + struct.pack("<I", 0) + text + b"\0"


def titled(text: bytes) -> bytes:
    """An XMP packet with `text` as title and as creator tool."""
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        b'xmp:CreatorTool="' + text + b'"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">' + text + b"</rdf:li>"
        b"</rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def endless_exif() -> bytes:
    """Every entry claims four thousand million values."""
    tags = (0x010E, 0x010F, 0x0110, 0x0112, 0x0132, 0x8769, 0x8825, 0x9286, 0x927C)
    body = b"".join(
        struct.pack("<HHII", tag, kind, 0xFFFF_FFFF, 8) for tag, kind in zip(tags, range(1, 10), strict=True)
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + struct.pack("<I", 0)


def crowded_exif() -> bytes:
    """As many entries as fit, all of them pointing at the same 60 KB."""
    count = 4000
    body = b"".join(struct.pack("<HHII", 0x9000 + i % 0x1000, 7, 48_000, 8) for i in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + body + struct.pack("<I", 0)


def png_header(width: int, height: int, depth: int, color_type: int, body: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    chunks = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_chunk(png: bytes, name: bytes, payload: bytes) -> bytes:
    """`png` with a chunk more, just after its header."""
    return png[:33] + png_chunk(name, payload) + png[33:]


def ringed(tiff: bytes) -> bytes:
    """The first directory names itself as the next."""
    (at,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, at)
    return lied(tiff, at + 2 + 12 * count, "<I", at)


def frames(name: str, count: int = 3) -> bytes:
    images = [Image.fromarray(np.roll(picture(48, 64, 3), 9 * i, axis=1)) for i in range(count)]
    out = io.BytesIO()
    images[0].save(out, name, save_all=True, append_images=images[1:])
    return out.getvalue()


def gif(count: int) -> bytes:
    return frames("GIF", count)
