"""The properties of an XMP packet, known or not."""

from typing import Any
from xml.parsers import expat

from service.imaging.anatomy.parts import Fate, Part, embedded_in
from service.imaging.exif_tags import Level
from service.imaging.xmp import ABOVE, META, RDF, rebuild
from service.imaging.xmp_properties import PREFIXES, PROPERTIES

MAX_PROPERTIES = 1000


def dissect_xmp(data: bytes, start: int, end: int) -> list[Part]:
    """A part for each property of the packet `data[start:end]`, and one if it is in another form than Veil writes."""
    packet = data[start:end]
    names: dict[str, None] = {}
    open_elements: list[str] = []

    def take(name: str) -> None:
        if not name.startswith((f"{RDF} ", "http://www.w3.org/XML")) and len(names) < MAX_PROPERTIES:
            names[name] = None

    def begin(name: str, attributes: dict[str, str]) -> None:
        if open_elements in ABOVE:
            take(name)
        open_elements.append(name)
        if open_elements in ABOVE:
            for each in attributes:
                take(each)

    def doctype(*_: Any) -> None:
        raise ValueError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.StartDoctypeDeclHandler = doctype
    embedded = embedded_in(data, start, end)
    try:
        parser.Parse(packet.strip(b"\0 \t\r\n"), True)
    except (expat.ExpatError, ValueError):
        return [Part(start, end - start, "XMP that cannot be read", Fate.NEVER, embedded=embedded)]
    parts = [_property(start, name) for name in names]
    if embedded or rebuild(packet, lambda known: known.level <= Level.OWNER) != packet:
        what = "more than known properties, or written in another way than Veil's"
        parts.append(Part(start, end - start, "packet", Fate.NEVER, what, embedded=embedded))
    return parts


def _property(at: int, name: str) -> Part:
    namespace, _, local = name.rpartition(" ")
    prefix = PREFIXES.get(namespace)
    known = PROPERTIES.get((prefix or "", local))
    shown = f"{prefix}:{local}" if prefix else f"{local} of {namespace.removeprefix(META) or 'no namespace'}"
    return Part(at, 0, shown, Fate.of(known.level) if known else Fate.NEVER)
