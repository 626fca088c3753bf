"""The exact confidence bound of a share (Clopper and Pearson, Biometrika 26, 1934)."""

import math
from typing import Final

CONFIDENCE: Final = 0.95
STEPS: Final = 60
"""Halvings of the interval from 0 to 1: the bound is then known to the last bit that matters."""


def lower_bound(hits: int, of: int, confidence: float = CONFIDENCE) -> float:
    """The largest share that is still too small to explain `hits` out of `of` (one-sided); 0 if there are none.

    Whatever the true share is, a bound computed like this lies above it in at most 1 − `confidence` of all samples.
    Raises ValueError unless 0 ≤ hits ≤ of.
    """
    if not 0 <= hits <= of:
        raise ValueError("there cannot be more hits than trials")
    if hits == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _at_most(of - hits, of, 1 - middle) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low


def _at_most(misses: int, of: int, share: float) -> float:
    """The probability of `misses` or fewer in `of` trials, each of probability `share`."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return float(misses >= of)
    miss, hit = math.log(share), math.log1p(-share)
    whole = math.lgamma(of + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(j + 1) - math.lgamma(of - j + 1) + j * miss + (of - j) * hit)
        for j in range(misses + 1)
    )
