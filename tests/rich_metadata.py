"""Files with every tag and property that the whitelists name, and with what must never come along, marked with LEAK.

Written by hand, byte by byte, not by the service's own writer.
"""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

from service.imaging.exif_tags import NEVER, TAGS, Group, Kind, Level, Tag
from service.imaging.xmp_properties import NAMESPACES, PROPERTIES, Property
from tests.images import LEAK, jpeg_segment, picture, png_by_hand, png_chunk, srgb_profile, with_pillow

Entry = tuple[int, int, bytes]
"""(type, count, bytes of all values)."""

Entries = dict[int, Entry]
PIXELS = picture(48, 64, 3)
PERSON = b"Jane Roe"
PLACE = b"47.5432101"
THUMBNAIL = with_pillow(picture(30, 40, 3), "JPEG").replace(b"\xff\xd8", b"\xff\xd8" + jpeg_segment(0xFE, LEAK), 1)
POINTERS = {Group.PHOTO: 0x8769, Group.GPS: 0x8825}
INTEROP = 0xA005
UNKNOWN = 0xFDE8
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
TIMES = {"OffsetTime": b"+02:00\0", "SubSecTime": b"123\0", "GPSDateStamp": b"2024:05:06\0"}
TEXTS = {
    "GPSLatitudeRef": b"N\0",
    "GPSLongitudeRef": b"W\0",
    "GPSDestLatitudeRef": b"N\0",
    "GPSDestLongitudeRef": b"W\0",
}
POSITION = {2: (47, 1, 32, 1, 3555636, 100_000), 4: (8, 1, 43, 1, 1234567, 100_000), 6: (4087, 10)}


def directory(order: str, entries: Entries, at: int, following: int = 0) -> bytes:
    """A directory at byte `at` with its values behind it."""
    body, values = struct.pack(f"{order}H", len(entries)), b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, (kind, count, value) in sorted(entries.items()):
        if len(value) > 4:
            place = struct.pack(f"{order}I", behind + len(values))
            values += value + b"\0" * (len(value) & 1)
        else:
            place = value.ljust(4, b"\0")
        body += struct.pack(f"{order}HHI", tag, kind, count) + place
    return body + struct.pack(f"{order}I", following) + values


def exif_of(
    groups: dict[Group, Entries], order: str = "<", *, thumbnail: bytes = b"", at: int = 8, head: bool = True
) -> bytes:
    """An EXIF block of `groups`; IFD1 with `thumbnail`. Without `head`, the directories alone, the first at `at`."""

    def pointer(to: int) -> Entry:
        return 4, 1, struct.pack(f"{order}I", to)

    image, photo = dict(groups.get(Group.IMAGE, {})), dict(groups.get(Group.PHOTO, {}))
    gps, interop = groups.get(Group.GPS, {}), groups.get(Group.INTEROP, {})
    if interop:
        photo[INTEROP] = pointer(0)
    image |= {POINTERS[g]: pointer(0) for g, e in ((Group.PHOTO, photo), (Group.GPS, gps)) if e}
    photo_at = at + len(directory(order, image, 0))
    gps_at = photo_at + (len(directory(order, photo, 0)) if photo else 0)
    interop_at = gps_at + (len(directory(order, gps, 0)) if gps else 0)
    second_at = interop_at + (len(directory(order, interop, 0)) if interop else 0)
    image |= {POINTERS[g]: pointer(p) for g, p, e in ((Group.PHOTO, photo_at, photo), (Group.GPS, gps_at, gps)) if e}
    if interop:
        photo[INTEROP] = pointer(interop_at)
    parts = [directory(order, image, at, second_at if thumbnail else 0)]
    parts += [directory(order, e, p) for e, p in ((photo, photo_at), (gps, gps_at), (interop, interop_at)) if e]
    if thumbnail:
        small = {0x0103: (3, 1, struct.pack(f"{order}H", 6)), 0x0201: pointer(0), 0x0202: pointer(len(thumbnail))}
        small[0x0201] = pointer(second_at + len(directory(order, small, 0)))
        parts += [directory(order, small, second_at), thumbnail]
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return (start if head else b"") + b"".join(parts)


def text_for(tag: Tag) -> bytes | None:
    text = tag.name.encode()
    match tag.kind:
        case Kind.LABEL:
            return TEXTS.get(tag.name, (PERSON if tag.level is Level.OWNER else text) + b"\0")
        case Kind.TEXT:
            return (PERSON if tag.level is Level.OWNER else b'{"lat": ' + PLACE + b"}") + b" " + text + b"\0"
        case Kind.COMMENT:
            return b"ASCII\0\0\0" + PLACE + b" " + text
        case Kind.DATE:
            return next((v for k, v in TIMES.items() if tag.name.startswith(k)), b"2024:05:06 07:08:09\0")
    return None


def value_for(tag: Tag, order: str) -> Entry:
    """What a camera could have written."""
    said = text_for(tag)
    if said is not None:
        return (7 if tag.kind is Kind.COMMENT else 2), len(said), said
    if tag.kind is Kind.BYTES:
        gps = tag.group is Group.GPS
        return (1, tag.limit, bytes(tag.limit)) if gps else (7, tag.limit, b"0232" * (tag.limit // 4))
    if tag.group is Group.GPS and tag.number in POSITION:
        numbers = POSITION[tag.number]
        return 5, len(numbers) // 2, struct.pack(f"{order}{len(numbers)}I", *numbers)
    if tag.name == "Orientation":
        return 3, 1, struct.pack(f"{order}H", 1)
    count = tag.limit
    return 5, count, struct.pack(f"{order}{2 * count}I", *(n for i in range(count) for n in (tag.number + i + 1, 7)))


def rich_groups(order: str) -> dict[Group, Entries]:
    """Every tag that is known."""
    groups: dict[Group, Entries] = {group: {} for group in Group}
    for (group, number), tag in TAGS.items():
        groups[group][number] = value_for(tag, order)
    return groups


def rich_exif(order: str = "<", *, orientation: bool = True) -> bytes:
    """Every tag that is known, those that are kept nowhere, an unknown one, and a thumbnail."""
    groups = rich_groups(order)
    pointers = {0x8769, 0x8825, INTEROP, 0x014A, 0x0111, 0x0117, 0x0144, 0x0145, 0x0103, 0x00FE, 0x015B}
    for number in NEVER.keys() - pointers:
        group = Group.PHOTO if number in (0x8828, 0x927C, 0x9286) or number >> 8 == 0xA4 else Group.IMAGE
        groups[group][number] = 7, len(THUMBNAIL), THUMBNAIL
    groups[Group.IMAGE][UNKNOWN] = 2, 15, LEAK + b" unknown\0"
    if not orientation:
        del groups[Group.IMAGE][0x0112]
    return exif_of(groups, order, thumbnail=THUMBNAIL)


def property_value(each: Property) -> str:
    values = {
        "INTEGER": "3",
        "PIXELS": "64",
        "DEGREES": "12.5",
        "NUMBER": "+47.5432101" if each.exact else "-3.25",
        "RATIONAL": "1/50",
        "BOOLEAN": "True",
        "PROJECTION": "equirectangular",
        "DATE": "2024-05-06T07:08:09.12+02:00",
        "COORDINATE": "47,32.592606N",
        "LETTER": "T",
        "URL": "https://example.org/47.5432101",
    }
    said = PERSON.decode() if each.level is Level.OWNER else f"{each.name}{' 47.5432101' if each.exact else ''}"
    return values.get(each.kind, said)


def rich_xmp() -> bytes:
    """Every property that is known, a thumbnail, and properties of namespaces that are kept nowhere."""
    spaces = NAMESPACES | {
        "GCamera": "http://ns.google.com/photos/1.0/camera/",
        "GImage": "http://ns.google.com/photos/1.0/image/",
        "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
        "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
        "xmpNote": "http://ns.adobe.com/xmp/note/",
        "xmpGImg": "http://ns.adobe.com/xap/1.0/g/img/",
        "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    }
    names = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in spaces.items())
    simple = "".join(f' {e.label}="{property_value(e)}"' for e in PROPERTIES.values() if not e.array)
    arrays = "".join(
        f"<{e.label}><rdf:Bag><rdf:li>{property_value(e)}</rdf:li></rdf:Bag></{e.label}>"
        for e in PROPERTIES.values()
        if e.array
    )
    leak = LEAK.decode()
    bad = "".join(
        f' {name}="{leak}"'
        for name in ("GCamera:MotionPhoto", "GImage:Data", "GDepth:Data", "hdrgm:Version", "xmpNote:HasExtendedXMP")
    )
    thumbnail = (
        f'<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:image>/9j/4AAQ{leak}</xmpGImg:image>'
        f"</rdf:li></rdf:Alt></xmp:Thumbnails><crs:Look><rdf:Description crs:Name='{leak}'/></crs:Look>"
    )
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="{leak}"><rdf:RDF '
        f'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><!-- {leak} -->'
        f'<rdf:Description rdf:about="{leak}"{names}{simple}{bad}>{arrays}{thumbnail}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def rich_jpeg(order: str = "<", exif: bytes | None = None, xmp: bytes | None = None) -> bytes:
    """A JPEG with all that, and MPF, Photoshop resources, JFXX, comments, gain map and a second picture behind it."""
    plain = with_pillow(PIXELS, "JPEG", quality=95)
    index = {0xB000: (7, 4, b"0100"), 0xB001: (4, 1, struct.pack("<I", 1)), 0xB002: (7, 16, bytes(16))}
    irb = b"8BIM\x04\x0c\0\0" + struct.pack(">I", len(THUMBNAIL)) + THUMBNAIL
    parts = [
        jpeg_segment(0xE0, b"JFXX\0\x10" + THUMBNAIL),
        jpeg_segment(0xE1, b"Exif\0\0" + (rich_exif(order) if exif is None else exif)),
        jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + (rich_xmp() if xmp is None else xmp)),
        jpeg_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 6, 0) + LEAK),
        jpeg_segment(0xE2, b"ICC_PROFILE\0\x01\x01" + srgb_profile()),
        jpeg_segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + directory("<", index, 8) + LEAK),
        jpeg_segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + LEAK),
        jpeg_segment(0xED, b"Photoshop 3.0\0" + irb),
        jpeg_segment(0xFE, LEAK),
    ]
    return plain[:2] + b"".join(parts) + plain[2:] + THUMBNAIL + b"\0\0\0\x18ftypmp42" + LEAK


def rich_png(order: str = "<") -> bytes:
    chunks = (
        png_chunk(b"gAMA", struct.pack(">I", 45455)),
        png_chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        png_chunk(b"eXIf", rich_exif(order)),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + rich_xmp()),
        png_chunk(b"tEXt", b"Comment\0" + LEAK),
        png_chunk(b"caBX", LEAK),
    )
    return png_by_hand(PIXELS, *chunks) + LEAK


def rich_webp(order: str = "<") -> bytes:
    data = with_pillow(PIXELS, "WEBP", exif=rich_exif(order), xmp=rich_xmp(), icc_profile=srgb_profile(), lossless=True)
    extra = b"LEAK" + struct.pack("<I", len(LEAK)) + LEAK
    return b"RIFF" + struct.pack("<I", len(data) - 8 + len(extra)) + data[8:] + extra + LEAK


def rich_avif(order: str = "<") -> bytes:
    """Without the orientation, for which Pillow would write the block anew."""
    file = io.BytesIO()
    exif = b"Exif\0\0" + rich_exif(order, orientation=False)
    Image.fromarray(PIXELS).save(file, "AVIF", quality=90, exif=exif, xmp=rich_xmp(), icc_profile=srgb_profile())
    return file.getvalue() + struct.pack(">I", len(LEAK) + 8) + b"free" + LEAK


def rich_tiff(order: str = "<") -> bytes:
    """A TIFF in one strip, whose first directory has the EXIF tags as well."""
    height, width, channels = PIXELS.shape
    pixels = np.ascontiguousarray(PIXELS).tobytes()

    def shorts(*values: int) -> Entry:
        return 3, len(values), struct.pack(f"{order}{len(values)}H", *values)

    own: Entries = {
        256: shorts(width),
        257: shorts(height),
        258: shorts(8, 8, 8),
        259: shorts(1),
        262: shorts(2),
        273: (4, 1, struct.pack(f"{order}I", 8)),
        277: shorts(channels),
        278: shorts(height),
        279: (4, 1, struct.pack(f"{order}I", len(pixels))),
        284: shorts(1),
        700: (1, len(rich_xmp()), rich_xmp()),
        34675: (7, len(srgb_profile()), srgb_profile()),
    }
    groups = rich_groups(order)
    for number in (0x011A, 0x011B, 0x0128, 0x0211, 0x0212, 0x0213, 0x0214):  # of TIFF's own, which it uses
        del groups[Group.IMAGE][number]
    for number in (0x8649, 0x83BB, 0xC4A5, 0x9C9B, 0xEA1C):
        groups[Group.IMAGE][number] = 7, len(THUMBNAIL), THUMBNAIL
    groups[Group.PHOTO] |= {0x927C: (7, len(THUMBNAIL), THUMBNAIL), 0x9286: (7, len(LEAK), LEAK)}
    groups[Group.IMAGE] |= own
    at = 8 + len(pixels)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return head + pixels + exif_of(groups, order, at=at, head=False) + LEAK


def survivors(data: bytes) -> dict[tuple[Group, int], Any]:
    """The EXIF tags of a file and their values, as Pillow reads them."""
    found: dict[tuple[Group, int], Any] = {}
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        found |= {(Group.IMAGE, tag): value for tag, value in exif.items()}
        for group, pointer in (*POINTERS.items(), (Group.INTEROP, INTEROP)):
            found |= {(group, tag): value for tag, value in exif.get_ifd(pointer).items()}
            found.pop((Group.IMAGE, pointer), None)
    found.pop((Group.PHOTO, INTEROP), None)
    return found
