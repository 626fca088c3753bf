"""The segments of a JPEG, and what follows its end."""

import struct

from service.imaging.anatomy.exif_parts import dissect_directories
from service.imaging.anatomy.parts import Fate, Part, deeper, embedded_in, remainder
from service.imaging.anatomy.xmp_parts import dissect_xmp
from service.imaging.containers import jpeg
from service.imaging.containers.jpeg import Segment

NAMES = {jpeg.DQT: "DQT", jpeg.DHT: "DHT", jpeg.DRI: "DRI", jpeg.DAC: "DAC", jpeg.SOS: "SOS", jpeg.COM: "COM"}
JFIF_SIZE, ADOBE_SIZE = 14, 12
KNOWN = (
    (0xE0, b"JFXX\0", "JFXX thumbnail"),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0", "extended XMP"),
    (0xE2, b"MPF\0", "MPF: index of further pictures"),
    (0xE2, b"urn:iso:std:iso:ts:21496", "gain map"),
    (0xE2, b"FPXR\0", "FlashPix"),
    (0xE6, b"GoPro\0", "GoPro"),
    (0xEB, b"JP", "JUMBF"),
    (0xED, b"Photoshop 3.0\0", "Photoshop resources"),
)
RESOURCES = {0x0404: "IPTC", 0x0409: "thumbnail", 0x040C: "thumbnail", 0x040F: "ICC", 0x0422: "EXIF", 0x0424: "XMP"}


def dissect_jpeg(data: bytes) -> list[Part]:
    """Raises CorruptImage if the segments do not lead to the end of the picture."""
    segments, end = jpeg.read_segments(data)
    parts = [Part(0, 2, "SOI", Fate.PICTURE)]
    at = 2
    for each in segments:
        parts += remainder(data, at, each.start)
        parts += _segment(data, each)
        at = each.end
    parts += remainder(data, at, end - 2)
    parts.append(Part(end - 2, 2, "EOI", Fate.PICTURE))
    return parts + remainder(data, end, len(data), "trailer", "after the end of the picture")


def _segment(data: bytes, each: Segment) -> list[Part]:
    size = each.end - each.start
    if each.marker in NAMES and each.marker != jpeg.COM:
        return [Part(each.start, size, NAMES[each.marker], Fate.PICTURE)]
    if each.marker in jpeg.FRAMES:
        height, width = struct.unpack_from(">HH", data, each.payload + 1)
        return [Part(each.start, size, f"SOF{each.marker - 0xC0}", Fate.PICTURE, f"{width}×{height}")]
    what, fate, inside = _application(data, each)
    name = f"APP{each.marker - 0xE0}" if jpeg.APP0 <= each.marker <= 0xEF else NAMES.get(each.marker, "segment")  # noqa: PLR2004
    embedded = embedded_in(data, each.payload, each.end) if fate is Fate.NEVER else ()
    return [Part(each.start, size, name, fate, what, embedded=embedded), *inside]


def _application(data: bytes, each: Segment) -> tuple[str, Fate, list[Part]]:
    """What an application segment holds, what becomes of it, and its own parts."""
    payload = data[each.payload : each.end]
    if each.marker == jpeg.APP0 and payload.startswith(jpeg.JFIF):
        fits = len(payload) == JFIF_SIZE and not any(payload[-2:])
        return "JFIF" if fits else "JFIF with a thumbnail", Fate.PICTURE if fits else Fate.NEVER, []
    if each.marker == jpeg.APP1 and payload.startswith(jpeg.EXIF):
        begin = each.payload + len(jpeg.EXIF)
        return "EXIF", Fate.STRIP, deeper(dissect_directories(data[begin : each.end]), offset=begin)
    if each.marker == jpeg.APP1 and payload.startswith(jpeg.XMP):
        return "XMP", Fate.STRIP, deeper(dissect_xmp(data, each.payload + len(jpeg.XMP), each.end))
    if each.marker == jpeg.APP2 and payload.startswith(jpeg.ICC):
        return "ICC profile", Fate.STRIP, []
    if each.marker == jpeg.APP14 and payload.startswith(jpeg.ADOBE):
        return "Adobe", Fate.PICTURE if len(payload) == ADOBE_SIZE else Fate.NEVER, []
    what = next((name for m, prefix, name in KNOWN if m == each.marker and payload.startswith(prefix)), "")
    inside = _resources(data, each) if what == "Photoshop resources" else []
    return what, Fate.NEVER, inside


def _resources(data: bytes, each: Segment) -> list[Part]:
    """Photoshop's image resource blocks, as far as they can be read."""
    parts: list[Part] = []
    at = each.payload + len(b"Photoshop 3.0\0")
    while data[at : at + 4] == b"8BIM" and at + 12 <= each.end:
        (kind,) = struct.unpack_from(">H", data, at + 4)
        named = (data[at + 6] | 1) + 1
        if at + 10 + named > each.end:
            break
        (length,) = struct.unpack_from(">I", data, at + 6 + named)
        end = at + 10 + named + length + (length & 1)
        what = RESOURCES.get(kind, "")
        parts.append(Part(at, min(end, each.end) - at, f"resource {kind:04X}", Fate.NEVER, what, depth=1))
        at = end
    return parts
