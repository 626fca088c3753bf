"""XMP packets (ISO 16684-1): read with suspicion, and written anew of the properties that a whitelist knows.

Only simple properties and arrays of text are read. Structures, qualifiers and everything in other namespaces have no
place in what is written, so thumbnails, depth and gain maps cannot come along.
"""

from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple
from xml.parsers import expat

from service.imaging.containers.header import MAX_XMP_BYTES
from service.imaging.xmp_properties import NAMESPACES, PREFIXES, PROPERTIES, Property

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
META = "adobe:ns:meta/"
LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
ARRAYS = {f"{RDF} {name}": name for name in ("Bag", "Seq", "Alt")}
ITEM = f"{RDF} li"
DESCRIPTION = f"{RDF} Description"
ABOVE = ([f"{RDF} RDF", DESCRIPTION], [f"{META} xmpmeta", f"{RDF} RDF", DESCRIPTION])
"""Elements that a property's own element may stand in."""

MAX_DEPTH = 16
MAX_ITEMS = 64
MAX_PACKET = 65_000
"""Largest packet in bytes: what one JPEG segment holds, with room to spare."""

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LANGUAGE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
MAX_LANGUAGE = 16


class Items(NamedTuple):
    """An array: its RDF kind and its items, each with its language or ""."""

    kind: str
    items: tuple[tuple[str, str], ...]


Value = str | Items
Properties = dict[Property, Value]


class _Refused(Exception):
    """The packet uses what no honest packet needs."""


def rebuild(xmp: bytes, wanted: Callable[[Property], bool]) -> bytes | None:
    """A packet of those known properties of `xmp` that are `wanted` and hold what they should; None if there are none.

    Rebuilding a rebuilt packet gives the same bytes.
    """
    found = read(xmp, wanted)
    while found and len(written := write(found)) > MAX_PACKET:
        del found[max(found, key=lambda each: len(str(found[each])))]
    return written if found else None


def read(xmp: bytes, wanted: Callable[[Property], bool]) -> Properties:
    """The valid properties among the known ones. None if `xmp` is broken, has a document type, or is too large."""
    if not xmp.startswith(UTF16_MARKS):
        xmp = xmp.strip(b"\0 \t\r\n")
    if len(xmp) > MAX_XMP_BYTES:
        return {}
    parser = _Parser(wanted)
    try:
        parser.parse(xmp)
    except (expat.ExpatError, _Refused, ValueError):
        return {}
    return parser.found


def write(found: Properties) -> bytes:
    """A packet of `found`, in one order whatever order they came in."""
    ordered = sorted(found.items(), key=lambda item: item[0].label)
    prefixes = sorted({each.prefix for each, _ in ordered})
    namespaces = "".join(f' xmlns:{prefix}="{NAMESPACES[prefix]}"' for prefix in prefixes)
    attributes = "".join(f' {each.label}="{_escaped(value)}"' for each, value in ordered if isinstance(value, str))
    elements = "".join(_array(each.label, value) for each, value in ordered if isinstance(value, Items))
    end = f">{elements}</rdf:Description>" if elements else "/>"
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="{META}"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about=""{namespaces}{attributes}{end}'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def _array(label: str, value: Items) -> str:
    items = ""
    for language, text in value.items:
        attribute = f' xml:lang="{language}"' if language else ""
        items += f"<rdf:li{attribute}>{_escaped(text)}</rdf:li>"
    return f"<{label}><rdf:{value.kind}>{items}</rdf:{value.kind}></{label}>"


def _escaped(text: str) -> str:
    text = escape(text, quote=True)
    for control in "\t\r\n":  # parsers turn these into blanks where they stand for themselves
        text = text.replace(control, f"&#{ord(control)};")
    return text


class _Parser:
    """Collects properties from attributes of the descriptions and from their child elements."""

    def __init__(self, wanted: Callable[[Property], bool]) -> None:
        self.found: Properties = {}
        self._wanted = wanted
        self._open: list[str] = []
        self._text: list[str] = []
        self._array: str | None = None
        self._items: list[tuple[str, str]] = []
        self._language = ""

    def parse(self, xmp: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(xmp, True)

    def _doctype(self, *_: Any) -> None:
        raise _Refused

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _Refused
        if self._open in ABOVE:
            self._array, self._items = None, []
        elif self._open[:-1] in ABOVE and name in ARRAYS:
            self._array, self._items = name, []
        elif self._in_array() and name == ITEM:
            self._language = attributes.get(LANGUAGE, "")
        self._open.append(name)
        if self._open in ABOVE:
            for attribute, value in attributes.items():
                self._take(attribute, value)
        self._text.clear()

    def _end(self, name: str) -> None:
        self._open.pop()
        text = "".join(self._text)
        if self._open in ABOVE:
            if self._array is None:
                self._take(name, text)
            else:
                self._take(name, Items(ARRAYS[self._array], tuple(self._items)))
        elif self._in_array() and name == ITEM and len(self._items) < MAX_ITEMS:
            self._items.append((_language(self._language), text))
        self._text.clear()

    def _in_array(self) -> bool:
        """Whether the innermost open element is the array of a property."""
        return len(self._open) >= 2 and self._open[:-2] in ABOVE and self._open[-1] == self._array  # noqa: PLR2004

    def _take(self, name: str, value: Value) -> None:
        namespace, _, local = name.rpartition(" ")
        known = PROPERTIES.get((PREFIXES.get(namespace, ""), local))
        if known is None or known in self.found or not self._wanted(known):
            return
        if known.array != isinstance(value, Items):
            return
        if isinstance(value, str):
            accepted = known.accepted(value)
            if accepted is not None:
                self.found[known] = accepted
        else:
            items = [(language, known.accepted(text)) for language, text in value.items]
            kept = tuple((language, text) for language, text in items if text)
            if kept:
                self.found[known] = Items(value.kind, kept)


def _language(tag: str) -> str:
    return tag if len(tag) <= MAX_LANGUAGE and LANGUAGE_CHARACTERS.issuperset(tag) else ""
