"""How sure a measured share is."""

import math
from dataclasses import dataclass

SURE = 1.959964
"""Standard deviations of a two-sided interval of 95 %."""


@dataclass(frozen=True)
class Share:
    """`right` of `tries`, and the interval in which the true share lies (Wilson, 1927; 95 %)."""

    right: int
    tries: int

    @property
    def value(self) -> float:
        return self.right / self.tries

    @property
    def interval(self) -> tuple[float, float]:
        n, p, z2 = self.tries, self.value, SURE**2
        center = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = SURE / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return max(0.0, center - half), min(1.0, center + half)

    def holds(self, chance: float) -> bool:
        """Whether `chance` explains it."""
        low, high = self.interval
        return low <= chance <= high

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} ({low:.3f}–{high:.3f})"
