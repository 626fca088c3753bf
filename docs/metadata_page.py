"""The generated page about metadata: the whitelists, as the code has them."""

from service.imaging.anatomy.parts import Fate
from service.imaging.exif_tags import NEVER, TAGS, Group, Kind, When
from service.imaging.plain_values import MAX_LABEL, MAX_TEXT
from service.imaging.xmp_properties import NAMESPACES, PROPERTIES

TEXT = f"""\
What a finished picture carries beside its pixels is built from these lists; everything else stays behind.

| `metadata` | what is kept |
|---|---|
| `strip` (default) | color profile, orientation, projection of panoramas (GPano) |
| `geo` | also position, time of capture, camera make and model, attitude of the camera |
| `keep` | also all other tags and properties below; *keep, owner* only with `VEIL_METADATA__OWNER=true` |

- In no mode: thumbnails and previews, further pictures and pages (MPF, IFD1, SubIFDs, animation, HEIF items), gain
  and depth maps, extended XMP, maker notes, user comments, Photoshop resources, IPTC, JPEG comments, PNG texts and
  times, unknown segments and chunks, bytes behind the picture. Ultra HDR and depth photographs come out as their base
  picture.
- EXIF values are copied byte for byte, with their type, if they are what the tag calls for: plain text (at most
  {MAX_TEXT} bytes, names of things {MAX_LABEL}), a few numbers, short bytes. A value that is more, or in which a
  picture seems to begin, is dropped. So is a block that cannot be read.
- XMP is written anew from the properties below. EXIF and XMP are at most 65 000 bytes each.
- JPEG keeps its stored pixels and the orientation tag. Other formats are written upright, and tags that speak of the
  pixels as they were stored are dropped.
- PNG keeps `gAMA`, `cHRM`, `sRGB` and `cICP`, which say what its numbers mean. BMP carries neither EXIF nor XMP.
- `geo=1m`, `10m` or `100m` rounds latitude, longitude and altitude to a grid with cells of at least that size.
  Everything that could tell the exact position is dropped then: the tags marked so, XMP's own positions, and tags that
  the deployment lists by number.
- `VEIL_METADATA__ALLOW` adds EXIF tags to `geo` and `keep`. Tags that can carry a picture or free bytes are refused at
  the start of the service.
- Each answer is checked before it leaves: its container is walked from the first byte to the last, and whatever these
  lists do not account for is a refusal. `veil inspect FILE` shows the same for any file.
"""


def metadata_page(note: str) -> str:
    lines = ["# Metadata", note, TEXT, "## EXIF", ""]
    lines += ["| directory | tag | name | from mode | value | besides |", "|---|---|---|---|---|---|"]
    order = list(Group)
    for (group, number), tag in sorted(TAGS.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        limit = f", at most {tag.limit}" if tag.kind in (Kind.NUMBERS, Kind.BYTES) else ""
        shown = f"{tag.name} | {Fate.of(tag.level)} | {tag.kind}{limit} | {tag.when}"
        lines.append(f"| {group} | `0x{number:04X}` | {shown} |")
    lines += ["", "Never, even if listed: " + ", ".join(f"`0x{tag:04X}` {name}" for tag, name in NEVER.items()) + "."]
    lines += ["", "## XMP", "", "| property | from mode | besides |", "|---|---|---|"]
    for each in sorted(PROPERTIES.values(), key=lambda each: each.label):
        beside = When.EXACT if each.exact else ""
        lines.append(f"| `{each.label}` | {Fate.of(each.level)} | {beside} |")
    lines += ["", "Namespaces: " + ", ".join(f"{prefix} `{uri}`" for prefix, uri in sorted(NAMESPACES.items())) + "."]
    return "\n".join(lines) + "\n"
