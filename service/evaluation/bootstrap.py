"""How far a figure may be off because other pictures could have been taken: the bootstrap over pictures.

Pictures are drawn, not objects (Efron and Tibshirani 1993, chapter 13: percentile intervals; pictures as clusters),
since the objects of one picture are found or missed together.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

DRAWS, SEED, LEVEL = 2000, 0, 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def rate(part: Float64, whole: Float64, *, proportion: bool = True) -> Estimate | None:
    """`part` over `whole`, each a sum over pictures, (n,); None if there is no whole.

    Where every picture says the same (all hidden, nothing false), the bootstrap knows no doubt. The interval then goes
    as far as a share of pictures that would still have given n equal ones in one draw of forty (Clopper and Pearson
    1934). `proportion`: whether the figure ends at 1; otherwise it counts things per picture, and only 0 is an end.
    """
    part, whole = part[whole > 0], whole[whole > 0]
    if not len(whole):
        return None
    value = float(part.sum() / whole.sum())
    low, high = _percentiles(_drawn(part, whole))
    doubt = 1 - float(((1 - LEVEL) / 2) ** (1 / len(whole)))
    if value == 0:
        high = max(high, doubt)
    if value == 1 and proportion:
        low = min(low, 1 - doubt)
    return Estimate(value, low, high)


def difference(one: tuple[Float64, Float64], other: tuple[Float64, Float64]) -> Estimate | None:
    """The rate of `other` less that of `one` (part and whole, (n,) each) over the same pictures, drawn together."""
    if not one[1].sum() or not other[1].sum():
        return None
    used = (one[1] > 0) | (other[1] > 0)
    (part_a, whole_a), (part_b, whole_b) = ((p[used], w[used]) for p, w in (one, other))
    value = float(part_b.sum() / whole_b.sum() - part_a.sum() / whole_a.sum())
    return Estimate(value, *_percentiles(_drawn(part_b, whole_b) - _drawn(part_a, whole_a)))


def _drawn(part: Float64, whole: Float64) -> Float64:
    """The rate in each of `DRAWS` draws of as many pictures with replacement: (DRAWS,), the same ones each time."""
    pictures = len(whole)
    times = np.random.default_rng(SEED).multinomial(pictures, np.full(pictures, 1 / pictures), size=DRAWS)
    sums = times @ whole
    drawn: Float64 = np.divide(times @ part, sums, out=np.full(DRAWS, np.nan), where=sums > 0)
    return drawn


def _percentiles(values: Float64) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL)])
    return float(low), float(high)
