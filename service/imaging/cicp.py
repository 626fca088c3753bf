"""ICC profiles for color code points (ITU-T H.273), by which AVIF and HEIC may say their colors without a profile."""

import struct

import numpy as np
import numpy.typing as npt

from service.errors import UnsupportedFormat
from service.imaging.raster import ColorModel

HIGH_DYNAMIC_RANGE = (16, 18)
"""PQ and HLG: brightness that no ICC profile of a picture for screens describes."""

LIKE_SRGB = (0, 1, 2, 5, 6, 7)
"""Primaries of BT.709, unsaid (0 and 2), and those of BT.601, which every reader shows as the first."""

PRIMARIES: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Chromaticities (x, y) of red, green and blue of BT.709, BT.2020 and Display P3; white is D65 for all (Table 2)."""

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
BT709_LIKE = (0, 1, 2, 6, 13, 14, 15)
"""Transfer characteristics that are shown by the sRGB curve, as browsers do."""

POWERS = {4: 2.2, 5: 2.8, 8: 1.0}
D65 = (0.3127, 0.3290)
D50 = (0.9642, 1.0, 0.8249)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile_for(primaries: int, transfer: int, color: ColorModel) -> bytes | None:
    """An ICC profile (ICC.1:2022, version 4) for these code points; None where readers take sRGB without one.

    Raises UnsupportedFormat for high dynamic range and for code points that are not known.
    """
    if transfer in HIGH_DYNAMIC_RANGE:
        raise UnsupportedFormat("Pictures of high dynamic range (PQ or HLG) are not read.")
    if transfer in BT709_LIKE and (primaries in LIKE_SRGB or color is ColorModel.GRAY):
        return None
    points = PRIMARIES.get(1 if primaries in LIKE_SRGB else primaries)
    if points is None or not (transfer in BT709_LIKE or transfer in POWERS) or color is ColorModel.GRAY:
        raise UnsupportedFormat("Pictures in this color space are not read.")
    curve = _curve(SRGB_CURVE) if transfer in BT709_LIKE else _curve((POWERS[transfer],))
    adapted = _adaptation() @ _matrix(points)
    tags = [
        (b"desc", _text("color code points")),
        (b"cprt", _text("CC0")),
        (b"wtpt", _xyz(np.array(D50))),
        (b"chad", b"sf32" + bytes(4) + _fixed(_adaptation().ravel())),
        *((name, _xyz(adapted[:, i])) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))),
        *((name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    return _assemble(tags)


def _matrix(points: tuple[tuple[float, float], ...]) -> npt.NDArray[np.float64]:
    """From linear RGB to XYZ under D65 (SMPTE RP 177)."""
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in points]).T
    return np.asarray(columns * np.linalg.solve(columns, _white()))


def _white() -> npt.NDArray[np.float64]:
    x, y = D65
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation() -> npt.NDArray[np.float64]:
    """From D65 to D50 by Bradford's method (ICC.1 Annex E)."""
    scale = (BRADFORD @ np.array(D50)) / (BRADFORD @ _white())
    return np.asarray(np.linalg.inv(BRADFORD) @ np.diag(scale) @ BRADFORD)


def _fixed(values: npt.NDArray[np.float64]) -> bytes:
    """s15Fixed16Number."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65_536) for value in values))


def _xyz(value: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(value)


def _curve(parameters: tuple[float, ...]) -> bytes:
    """A parametric curve: Y = X^g, or that of IEC 61966-2-1 (ICC.1 Table 68, functions 0 and 3)."""
    kind = 0 if len(parameters) == 1 else 3
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(np.array(parameters))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _assemble(tags: list[tuple[bytes, bytes]]) -> bytes:
    """Header, tag table and values, each value once and at a multiple of 4 (ICC.1 §7)."""
    at = 128 + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    body = b""
    for _, value in tags:
        if value not in places:
            places[value] = at + len(body)
            body += value + bytes(-len(value) % 4)
    table = b"".join(struct.pack(">4sII", name, places[value], len(value)) for name, value in tags)
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x04400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(np.array(D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
