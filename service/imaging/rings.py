"""Rings of views around the sphere, as few as can hold every direction in them with all that is around it."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from service.imaging.sphere import Float64

SAMPLES, LATITUDES, COUNTS = 100, 24, 10
"""How finely rings are tried: latitudes held, latitudes looked at, numbers of views."""


@dataclass(frozen=True, slots=True)
class Ring:
    """`count` views around the sphere that look at `latitude`, the first at longitude 0."""

    latitude: float
    count: int


@dataclass(frozen=True, slots=True)
class Lens:
    """The field of a view: `across` and `down` are the tangents of its half angles, `whole` the radius of objects.

    A direction is held if an object of that radius around it lies whole in the field.
    """

    across: float
    down: float
    whole: float

    @property
    def reach(self) -> float:
        """Radius of the circle of directions that are held."""
        return math.atan(min(self.across, self.down)) - self.whole


@lru_cache(maxsize=64)
def caps(lens: Lens, latitude: float) -> tuple[Ring, ...]:
    """Rings that hold every direction beyond `latitude`, up and down."""
    rings: list[Ring] = []
    low = latitude
    while low < math.pi / 2:
        if math.pi / 2 - low <= lens.reach:
            rings.append(Ring(math.pi / 2, 1))
            break
        looking = np.linspace(low, min(low + lens.reach, math.pi / 2), LATITUDES)
        ring, low = _best_ring(lens, looking, low)
        rings.append(ring)
    return tuple(each for ring in rings for each in (ring, Ring(-ring.latitude, ring.count)))


@lru_cache(maxsize=16)
def around(lens: Lens) -> tuple[Ring, ...]:
    """Rings that hold every direction there is."""
    ring, reach = _best_ring(lens, np.zeros(1), 0.0)
    return ring, *caps(lens, reach)


def _best_ring(lens: Lens, looking: Float64, low: float) -> tuple[Ring, float]:
    """The ring that holds most of the sphere for its views from latitude `low` to another, and that other.

    `looking`: the latitudes that it may look at. Raises ValueError if no ring holds objects of that size.
    """
    best: tuple[float, Ring, float] | None = None
    fewest = max(3, math.floor(math.pi * math.cos(low) / lens.reach))
    for count in range(fewest, fewest + COUNTS):
        high = _held_up_to(lens, looking, low, math.pi / count)
        chosen = int(np.argmax(high))
        gain = math.sin(high[chosen]) - math.sin(low)
        if gain > 0 and (best is None or count / gain < best[0]):
            best = (count / gain, Ring(float(looking[chosen]), count), float(high[chosen]))
    if best is None:
        raise ValueError("no ring of such views holds objects of that size")
    return best[1], best[2]


def _held_up_to(lens: Lens, looking: Float64, low: float, aside: float) -> Float64:
    """For each latitude of `looking` (n,): up to where a view holds all from `low`, at longitudes within `aside`."""
    latitude = np.linspace(low, min(low + 2 * lens.reach, math.pi / 2), SAMPLES)
    longitude = np.linspace(0, aside, 5)
    held = np.all(holds(lens, looking[:, None, None], latitude[:, None], longitude), axis=2)
    first = np.where(held.all(axis=1), SAMPLES, np.argmin(held, axis=1))
    return np.asarray(np.where(first > 0, latitude[first - 1], low))


def holds(lens: Lens, looking: Float64, latitude: Float64, longitude: Float64) -> npt.NDArray[np.bool_]:
    """Whether a view at latitude `looking` and longitude 0 holds directions: their distance from its field's sides.

    A side is a great circle; the distance from it is that from its plane. The arrays broadcast.
    """
    level, sin, cos = np.cos(latitude), np.sin(looking), np.cos(looking)
    right = level * np.sin(longitude)
    up = cos * np.sin(latitude) - sin * level * np.cos(longitude)
    forward = sin * np.sin(latitude) + cos * level * np.cos(longitude)
    least = math.sin(lens.whole)
    within = (lens.across * forward - np.abs(right)) / math.hypot(1, lens.across) >= least
    return np.asarray(within & ((lens.down * forward - np.abs(up)) / math.hypot(1, lens.down) >= least))
