"""A position made coarse: rounded to a grid whose cells are nowhere smaller than the meters that were asked for."""

import math
import struct
from fractions import Fraction

from service.imaging.containers.ifd import Fields
from service.imaging.exif_tags import ALTITUDE, ALTITUDE_REF, LATITUDE, LATITUDE_REF, LONGITUDE, LONGITUDE_REF

RATIONAL, COORDINATE_PARTS = 5, 3
MAX_LATITUDE, MAX_LONGITUDE = 90, 180
MAX_ALTITUDE = 100_000
UNITS = 100_000
"""The grid is made of hundred-thousandths of a degree: at least 1.1 m of latitude each (WGS 84: 110.57 km a degree)."""

MILLIS = 1000
"""Seconds of arc are written in thousandths, in which a unit of the grid, 0.036″, is exact."""

POSITION = frozenset({LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, ALTITUDE_REF, ALTITUDE})
HEMISPHERES = {LATITUDE_REF: (b"N", b"S"), LONGITUDE_REF: (b"E", b"W")}


def rounded(gps: Fields, order: str, meters: int) -> Fields:
    """`gps` with latitude, longitude and altitude rounded to `meters` (1, 10, 100).

    A position that is not written as the standard has it cannot be rounded and is left out.
    """
    others = {tag: each for tag, each in gps.items() if tag not in POSITION}
    latitude = _degrees(gps, LATITUDE, LATITUDE_REF, MAX_LATITUDE, order)
    longitude = _degrees(gps, LONGITUDE, LONGITUDE_REF, MAX_LONGITUDE, order)
    if latitude is None or longitude is None:
        return others
    north = on_grid(latitude, meters, MAX_LATITUDE)
    east = on_grid(longitude, longitude_step(north, meters), MAX_LONGITUDE)
    found = {
        LATITUDE_REF: gps[LATITUDE_REF],
        LATITUDE: _coordinate(north, order),
        LONGITUDE_REF: gps[LONGITUDE_REF],
        LONGITUDE: _coordinate(east, order),
    }
    altitude = _rationals(gps.get(ALTITUDE), order, 1)
    unknown = ALTITUDE in gps and not any(gps[ALTITUDE][2])
    if altitude and not unknown and altitude[0] <= MAX_ALTITUDE:
        found[ALTITUDE] = (RATIONAL, 1, struct.pack(f"{order}2I", round(altitude[0] / meters) * meters, 1))
        if ALTITUDE_REF in gps:
            found[ALTITUDE_REF] = gps[ALTITUDE_REF]
    return others | found


def on_grid(degrees: Fraction, step: int, limit: int) -> int:
    """`degrees` as the nearest multiple of `step` units that is no more than `limit` degrees."""
    multiple = round(degrees * UNITS / step)
    return min(multiple, limit * UNITS // step) * step


def longitude_step(north: int, meters: int) -> int:
    """Units of a step of longitude at latitude `north` (in units): wider where the meridians are closer.

    It follows from the rounded latitude, so that it tells nothing more.
    """
    shrink = math.cos(math.radians(north / UNITS))
    return min(math.ceil(meters / max(shrink, 1e-9)), 2 * MAX_LONGITUDE * UNITS)


def _degrees(gps: Fields, tag: int, ref: int, limit: int, order: str) -> Fraction | None:
    """Degrees without their sign; None if they or their hemisphere are not as the standard has them."""
    parts = _rationals(gps.get(tag), order, COORDINATE_PARTS)
    if not parts or ref not in gps or gps[ref][2].rstrip(b"\0") not in HEMISPHERES[ref]:
        return None
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    return degrees if degrees <= limit else None


def _rationals(found: tuple[int, int, bytes] | None, order: str, count: int) -> list[Fraction] | None:
    """`count` RATIONALs; 0/0, which stands for "not known", is taken as 0."""
    if found is None or found[:2] != (RATIONAL, count):
        return None
    numbers = struct.unpack(f"{order}{2 * count}I", found[2])
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if any(below == 0 and above for above, below in pairs):
        return None
    return [Fraction(above, below or 1) for above, below in pairs]


def _coordinate(units: int, order: str) -> tuple[int, int, bytes]:
    """Degrees, minutes and thousandths of seconds."""
    millis = units * 3600 * MILLIS // UNITS
    minutes, millis = divmod(millis, 60 * MILLIS)
    degrees, minutes = divmod(minutes, 60)
    return RATIONAL, COORDINATE_PARTS, struct.pack(f"{order}6I", degrees, 1, minutes, 1, millis, MILLIS)
