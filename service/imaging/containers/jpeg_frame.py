"""How a JPEG's samples are laid out: components, their quantization tables, and the color model they are in.

From the segments before the first scan alone (ITU-T T.81 Annex B; ITU-T T.872 §6 for the color models).
"""

import struct
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from service.errors import CorruptImage
from service.imaging.containers.jpeg import ADOBE, APP0, APP14, DHT, DQT, FRAMES, JFIF, Segment, read_segments

PROGRESSIVE = frozenset({0xC2, 0xCA})
ZIGZAG = np.array(
    [
        *(0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14),
        *(21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53),
        *(60, 61, 54, 47, 55, 62, 63),
    ]
)
"""Natural (row by row) position of the n-th coefficient as it is coded, T.81 figure A.6."""

STANDARD_LUMA_AC = bytes.fromhex("100002010303020403050504040000017d")
"""How the code of luma AC coefficients begins in files whose codes are the examples of T.81 (table K.5)."""

ADOBE_RGB_OR_CMYK, ADOBE_YCCK = 0, 2
ADOBE_TRANSFORM = 11
"""Offset of the transform in the Adobe segment."""


class Coding(Enum):
    """What the components stand for."""

    GRAY = "gray"
    YCBCR = "YCbCr"
    RGB = "RGB"
    CMYK = "CMYK"
    YCCK = "YCCK"


@dataclass(frozen=True, slots=True)
class Component:
    """One component: its sampling factors, and the steps of its coefficients: (64,) float32, natural order."""

    across: int
    down: int
    steps: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a picture of `width` × `height` stored pixels.

    `adobe`: there is an Adobe segment. `standard_codes`: the entropy coding is not optimized for the picture.
    """

    width: int
    height: int
    components: tuple[Component, ...]
    coding: Coding
    progressive: bool
    adobe: bool
    standard_codes: bool


def read_frame(data: bytes) -> Frame | None:
    """The frame of `data`, a JPEG that `jpeg.read_header` accepts; None if a table changes between scans.

    Raises CorruptImage for a table that is missing or has a step of zero, which T.81 §B.2.4.1 forbids, and for segments
    that are too short.
    """
    try:
        return _read(data)
    except (ValueError, IndexError, struct.error) as error:
        raise CorruptImage(cause=f"JPEG frame: {error}") from None


def _read(data: bytes) -> Frame | None:
    segments, scans = read_segments(data, head=True)
    frame = next(each for each in segments if each.marker in FRAMES)
    _, height, width, count = struct.unpack_from(">BHHB", data, frame.payload)
    progressive = frame.marker in PROGRESSIVE
    # What follows a scan that has everything in it need not be looked at, which takes its time.
    complete = not progressive and data[scans + 4] == count
    tables: dict[int, npt.NDArray[np.float32]] = {}
    for each in segments if complete else read_segments(data)[0]:
        if each.marker == DQT:
            for slot, steps in _tables(data[each.payload : each.end]):
                if not np.array_equal(tables.setdefault(slot, steps), steps):
                    return None
    ids, components = [], []
    for i in range(count):
        name, sampling, slot = data[frame.payload + 6 + 3 * i : frame.payload + 9 + 3 * i]
        if slot not in tables or not tables[slot].all():
            raise CorruptImage(cause=f"quantization table {slot} is missing or has a zero")
        if not (1 <= sampling >> 4 <= 4 and 1 <= sampling & 15 <= 4):  # noqa: PLR2004 - T.81 table B.2
            raise CorruptImage(cause=f"sampling factors {sampling:02x}")
        ids.append(name)
        # A single component is not interleaved, whatever its factors (T.81 §A.2.2).
        factors = (sampling >> 4, sampling & 15) if count > 1 else (1, 1)
        components.append(Component(*factors, tables[slot]))
    adobe = _adobe_transform(data, segments)
    coding = _coding(bytes(ids), adobe, jfif=_has(data, segments, APP0, JFIF))
    standard = any(s.marker == DHT and STANDARD_LUMA_AC in data[s.payload : s.end] for s in segments)
    return Frame(width, height, tuple(components), coding, progressive, adobe is not None, standard)


def _tables(payload: bytes) -> list[tuple[int, npt.NDArray[np.float32]]]:
    """The tables of one DQT segment, each with its slot."""
    found, at = [], 0
    while at < len(payload):
        wide, slot = payload[at] >> 4, payload[at] & 15
        raw = np.frombuffer(payload, ">u2" if wide else ">u1", 64, at + 1)
        steps = np.empty(64, np.float32)
        steps[ZIGZAG] = raw
        found.append((slot, steps))
        at += 1 + 64 * (2 if wide else 1)
    return found


def _has(data: bytes, segments: list[Segment], marker: int, prefix: bytes) -> bool:
    return any(each.marker == marker and data.startswith(prefix, each.payload, each.end) for each in segments)


def _adobe_transform(data: bytes, segments: list[Segment]) -> int | None:
    """What the last Adobe segment says, as decoders take it; None if there is none."""
    said = None
    for each in segments:
        long_enough = each.end - each.payload > ADOBE_TRANSFORM
        if each.marker == APP14 and long_enough and data.startswith(ADOBE, each.payload):
            said = data[each.payload + ADOBE_TRANSFORM]
    return said


def _coding(ids: bytes, adobe: int | None, *, jfif: bool) -> Coding:
    """The coding that decoders derived from libjpeg assume (jdapimin.c, default_decompress_parms)."""
    match len(ids):
        case 1:
            return Coding.GRAY
        case 4:
            return Coding.YCCK if adobe not in (None, ADOBE_RGB_OR_CMYK) else Coding.CMYK
        case _ if jfif:
            return Coding.YCBCR
        case _ if adobe is not None:
            return Coding.RGB if adobe == ADOBE_RGB_OR_CMYK else Coding.YCBCR
        case _:
            return Coding.RGB if ids == b"RGB" else Coding.YCBCR
