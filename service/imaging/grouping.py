"""Boxes that show one object, as several levels and neighboring tiles see it: they are obscured as one.

Each alone would get cells and noise of its own, and one face several blotches. Grouping changes nothing about which
pixels are hidden.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.imaging.outlines import Box

Floats = npt.NDArray[np.float64]

SAME = 0.5
"""Intersection over union from which two boxes of a class show the same object."""

INSIDE = 0.75
"""Share of the smaller box from which it shows a part of the larger one."""


def grouped(boxes: Sequence[Box], turn: float | None = None) -> list[list[int]]:
    """The indices of `boxes` in groups: who is the same as, or inside, another is in its group, and so on.

    Groups are in the order of their first box, and so are the boxes in each. `turn`: pixels after which a panorama
    begins anew, so that boxes meet across its seam.
    """
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    low, high = corners[:, :2], corners[:, 2:]
    area = (high - low).prod(axis=1)
    group = np.arange(len(boxes))
    for i in range(1, len(boxes)):
        common = _common(low[i], high[i], low[:i], high[:i])
        for shift in () if turn is None else ((turn, 0), (-turn, 0)):
            np.maximum(common, _common(low[i] + shift, high[i] + shift, low[:i], high[:i]), out=common)
        same = common >= SAME * (area[i] + area[:i] - common)
        inside = common >= INSIDE * np.minimum(area[i], area[:i])
        met = np.unique(group[:i][same | inside])
        if len(met):
            group[: i + 1][np.isin(group[: i + 1], [*met, i])] = met[0]
    members: dict[int, list[int]] = {}
    for index, first in enumerate(group.tolist()):
        members.setdefault(first, []).append(index)
    return list(members.values())


def _common(low: Floats, high: Floats, lows: Floats, highs: Floats) -> Floats:
    """The area that the box from `low` to `high` (2,) shares with each of others (n, 2)."""
    return np.asarray(np.maximum(np.minimum(high, highs) - np.maximum(low, lows), 0).prod(axis=1))
