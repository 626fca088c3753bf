"""The chunks of PNG and WebP, and what follows them."""

import struct
import zlib

from service.imaging.anatomy.exif_parts import dissect_directories
from service.imaging.anatomy.parts import Fate, Part, deeper, embedded_in, remainder
from service.imaging.anatomy.xmp_parts import dissect_xmp
from service.imaging.containers import png, webp

PNG_PICTURE = png.FOR_DECODER | png.COLOR_CHUNKS.keys()
PNG_NEVER = {b"acTL": "animation", b"fcTL": "animation", b"fdAT": "a frame of the animation", b"caBX": "C2PA"}
WEBP_PICTURE = frozenset({b"VP8X", b"ALPH", *webp.BITSTREAMS})
WEBP_NEVER = {b"ANIM": "animation", b"ANMF": "a frame of the animation"}
EXIF_PREFIX = b"Exif\0\0"


def dissect_png(data: bytes) -> list[Part]:
    """Raises CorruptImage if the chunks do not lead to IEND."""
    parts = [Part(0, len(png.SIGNATURE), "signature", Fate.PICTURE)]
    chunks = list(png.read_chunks(data))
    for each in chunks:
        start, end = each.start + 8, each.end - 4
        name, size = _name(each.name), each.end - each.start
        if zlib.crc32(data[each.start + 4 : end]).to_bytes(4, "big") != data[end : each.end]:
            parts.append(Part(each.start, size, name, Fate.NEVER, "wrong checksum"))
        elif each.name in PNG_PICTURE:
            parts.append(Part(each.start, size, name, Fate.PICTURE))
        elif each.name == b"iCCP":
            fits = png.whole_profile(data[start:end])
            what = "ICC profile" if fits else "ICC profile, with a name or bytes of its own"
            parts.append(Part(each.start, size, name, Fate.STRIP if fits else Fate.NEVER, what))
        elif each.name == b"eXIf":
            parts.append(Part(each.start, size, name, Fate.STRIP, "EXIF"))
            parts += deeper(dissect_directories(data[start:end]), offset=start)
        elif each.name == b"iTXt" and data.startswith(png.xmp_payload(b""), start):
            parts.append(Part(each.start, size, name, Fate.STRIP, "XMP"))
            parts += deeper(dissect_xmp(data, start + len(png.xmp_payload(b"")), end))
        else:
            what = PNG_NEVER.get(each.name, "")
            parts.append(Part(each.start, size, name, Fate.NEVER, what, embedded=embedded_in(data, start, end)))
    return parts + remainder(data, chunks[-1].end, len(data), "trailer", "after the end of the picture")


def dissect_webp(data: bytes) -> list[Part]:
    """Raises CorruptImage if the chunks do not fill the file."""
    parts = [Part(0, webp.HEADER_SIZE, "RIFF", Fate.PICTURE)]
    at = webp.HEADER_SIZE
    for each in webp.read_chunks(data):
        size = each.end + ((each.end - each.start) & 1) - each.start + 8
        head, name = each.start - 8, _name(each.name)
        if each.name in WEBP_PICTURE:
            parts.append(Part(head, size, name, Fate.PICTURE))
        elif each.name == b"ICCP":
            parts.append(Part(head, size, name, Fate.STRIP, "ICC profile"))
        elif each.name == b"EXIF":
            begin = each.start + (len(EXIF_PREFIX) if data.startswith(EXIF_PREFIX, each.start) else 0)
            parts.append(Part(head, size, name, Fate.STRIP, "EXIF"))
            parts += deeper(dissect_directories(data[begin : each.end]), offset=begin)
        elif each.name == b"XMP ":
            parts.append(Part(head, size, name, Fate.STRIP, "XMP"))
            parts += deeper(dissect_xmp(data, each.start, each.end))
        else:
            found = embedded_in(data, each.start, each.end)
            parts.append(Part(head, size, name, Fate.NEVER, WEBP_NEVER.get(each.name, ""), embedded=found))
        at = head + size
    stated = struct.unpack_from("<I", data, 4)[0] + 8
    what = "after the end of the picture" if at >= stated else "inside the file's stated size"
    return parts + remainder(data, at, len(data), "trailer", what)


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
