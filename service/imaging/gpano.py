"""The projection of a panorama: Google's Photo Sphere XMP (GPano), read with suspicion and written anew.

Properties and types: https://developers.google.com/streetview/spherical-metadata. Those that say when, where or with
what a panorama was made (dates, PoseHeadingDegrees, software) are no part of the projection and are left out.
"""

import re
from typing import Any
from xml.parsers import expat

from service.imaging.containers.header import MAX_XMP_BYTES

GPANO = "http://ns.google.com/photos/1.0/panorama/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MAX_DEPTH = 16
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

INTEGER = re.compile(r"\d{1,7}", re.ASCII)
DEGREES = re.compile(r"-?\d{1,3}(\.\d{1,9})?", re.ASCII)
BOOLEAN = re.compile(r"True|False", re.ASCII | re.IGNORECASE)
PROJECTION = re.compile(r"equirectangular|cylindrical", re.ASCII | re.IGNORECASE)

PROPERTIES = {
    "ProjectionType": PROJECTION,
    "UsePanoramaViewer": BOOLEAN,
    "CroppedAreaImageWidthPixels": INTEGER,
    "CroppedAreaImageHeightPixels": INTEGER,
    "FullPanoWidthPixels": INTEGER,
    "FullPanoHeightPixels": INTEGER,
    "CroppedAreaLeftPixels": INTEGER,
    "CroppedAreaTopPixels": INTEGER,
    "LargestValidInteriorRectLeft": INTEGER,
    "LargestValidInteriorRectTop": INTEGER,
    "LargestValidInteriorRectWidth": INTEGER,
    "LargestValidInteriorRectHeight": INTEGER,
    "InitialViewHeadingDegrees": DEGREES,
    "InitialViewPitchDegrees": DEGREES,
    "InitialViewRollDegrees": DEGREES,
    "InitialHorizontalFOVDegrees": DEGREES,
    "InitialVerticalFOVDegrees": DEGREES,
    "PosePitchDegrees": DEGREES,
    "PoseRollDegrees": DEGREES,
}
"""What is kept, and what each value must look like in full."""


class _Refused(Exception):
    """The packet uses what no honest packet needs."""


def rebuild_gpano(xmp: bytes) -> tuple[bytes | None, bool]:
    """A packet with the known GPano properties of `xmp` alone, and whether they say equirectangular.

    (None, False) if there are none, or `xmp` is not well-formed, or has a document type (entities), or is too large.
    Rebuilding a rebuilt packet gives the same bytes.
    """
    found = _properties(xmp)
    if not found:
        return None, False
    attributes = "".join(f' GPano:{name}="{found[name]}"' for name in sorted(found))
    packet = (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns:GPano="{GPANO}"{attributes}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )
    return packet.encode("ascii"), found.get("ProjectionType") == "equirectangular"


def _properties(xmp: bytes) -> dict[str, str]:
    """The valid GPano properties of the packet, from attributes of rdf:Description and from its child elements."""
    if not xmp.startswith(UTF16_MARKS):
        xmp = xmp.strip(b"\0 \t\r\n")
    if len(xmp) > MAX_XMP_BYTES or GPANO.encode() not in xmp.replace(b"\0", b""):
        return {}
    found: dict[str, str] = {}
    open_elements: list[str] = []
    text: list[str] = []

    def take(name: str, value: str) -> None:
        prefix, _, local = name.partition(" ")
        pattern = PROPERTIES.get(local) if prefix == GPANO else None
        if pattern and pattern.fullmatch(value.strip()):
            value = value.strip().lower()
            found.setdefault(local, value.capitalize() if pattern is BOOLEAN else value)

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_elements) >= MAX_DEPTH:
            raise _Refused
        if name == f"{RDF} Description":
            for attribute, value in attributes.items():
                take(attribute, value)
        open_elements.append(name)
        text.clear()

    def end(name: str) -> None:
        open_elements.pop()
        if open_elements and open_elements[-1] == f"{RDF} Description":
            take(name, "".join(text))
        text.clear()

    def doctype(*_: Any) -> None:
        raise _Refused

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(xmp, True)
    except (expat.ExpatError, _Refused, ValueError):
        return {}
    return found
