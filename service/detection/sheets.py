"""Parts of many tiles side by side in one: a detector is asked about all of them at once, in the size it expects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.detection.detector import TileBoxes, Tiles
from service.imaging.sphere_views import AnyView, ends
from service.imaging.views import PAD, View

Places = npt.NDArray[np.int64]
"""(n,): pixels from the edge of a sheet."""

GAP = 32
"""Pixels of gray beside patches that are parts of tiles: what lies at their edges is to have nothing else beside it."""

WAITING = 3
"""Sheets' worth of parts that are gathered before they are laid out: the more, the fuller the sheets."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of the tile of `view`: `pixels` (h, w, 3) uint8, whose corner is at `x`, `y` of the tile."""

    view: AnyView
    x: int
    y: int
    pixels: Tiles

    @property
    def gap(self) -> int:
        """Pixels that are left free beside it; none beside a whole small view of a sphere: others overlap it amply."""
        whole = self.pixels.shape[:2] == (self.view.height, self.view.width)
        return 0 if whole and not isinstance(self.view, View) else GAP

    @property
    def at_edges(self) -> tuple[bool, bool, bool, bool]:
        """Whether the picture ends at its left, upper, right and lower side.

        An object that the edge cuts looks like one only if there is nothing beside it, as in a whole tile.
        """
        height, width = self.pixels.shape[:2]
        touches = (self.x == 0, self.y == 0, self.x + width == self.view.width, self.y + height == self.view.height)
        left, above, right, below = (end and touch for end, touch in zip(ends(self.view), touches, strict=True))
        return left, above, right, below

    @property
    def area(self) -> int:
        height, width = self.pixels.shape[:2]
        return int(height * width)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Patches at `corners` (n, 2), x and y, of a tile of `width` × `height`, none over another."""

    patches: tuple[Patch, ...]
    corners: tuple[tuple[int, int], ...]
    width: int
    height: int

    @property
    def views(self) -> list[AnyView]:
        """Of each patch."""
        return [patch.view for patch in self.patches]

    def tile(self) -> Tiles:
        """(1, height, width, 3), gray beside the patches."""
        tile = np.full((1, self.height, self.width, 3), PAD, np.uint8)
        for patch, (x, y) in zip(self.patches, self.corners, strict=True):
            height, width = patch.pixels.shape[:2]
            tile[0, y : y + height, x : x + width] = patch.pixels
        return tile

    def answers(self, answer: TileBoxes) -> TileBoxes:
        """The answer for the sheet as one for the tile of each patch: of what lies in it by its middle."""
        boxes = answer.boxes[0]
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        of_patch, scores = [], []
        for patch, (x, y) in zip(self.patches, self.corners, strict=True):
            height, width = patch.pixels.shape[:2]
            inside = ((middles >= [x, y]) & (middles < [x + width, y + height])).all(axis=1)
            of_patch.append(boxes + np.array([patch.x - x, patch.y - y] * 2, np.float32))
            scores.append(np.where(inside, answer.scores[0], np.float32(0)))
        count = len(self.patches)
        labels = None if answer.labels is None else np.repeat(answer.labels, count, axis=0)
        return TileBoxes(np.stack(of_patch), np.stack(scores), labels)

    def halves(self) -> tuple["Sheet", ...]:
        """Sheets of half the patches each."""
        half = len(self.patches) // 2
        parts = (self.patches[:half], self.patches[half:])
        return tuple(sheet for part in parts for sheet in lay_out(part, self.width, self.height))


class Sheets:
    """Gathers patches for one detector, whose tiles are `width` × `height`."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._waiting: list[Patch] = []

    def add(self, patches: Sequence[Patch]) -> None:
        self._waiting += patches

    def full(self) -> list[Sheet]:
        """Those that are worth asking about by now; what would lie on the emptiest goes on waiting."""
        if sum(patch.area for patch in self._waiting) < WAITING * self._width * self._height:
            return []
        *ready, last = sorted(self.rest(), key=lambda sheet: -sum(patch.area for patch in sheet.patches))
        self._waiting = list(last.patches)
        return ready

    def rest(self) -> list[Sheet]:
        """All that wait."""
        waiting, self._waiting = self._waiting, []
        return lay_out(waiting, self._width, self._height)


def lay_out(patches: Sequence[Patch], width: int, height: int) -> list[Sheet]:
    """`patches` on few sheets of `width` × `height`: by falling height, each as high and then as far left as it fits.

    On the first sheet with room (first fit decreasing; Baker, Coffman and Rivest, 1980, Orthogonal packings in two
    dimensions). What lies at an edge of the picture comes to lie at that edge of the sheet.
    """
    filled: list[list[tuple[Patch, tuple[int, int]]]] = []
    for patch in sorted(patches, key=lambda patch: -patch.pixels.shape[0]):
        for placed in filled:
            corner = _room(patch, placed, width, height)
            if corner is not None:
                placed.append((patch, corner))
                break
        else:
            alone = _room(patch, [], width, height)
            assert alone is not None, "a part is not larger than its tile"
            filled.append([(patch, alone)])
    return [Sheet(tuple(p for p, _ in each), tuple(c for _, c in each), width, height) for each in filled]


def _room(
    patch: Patch, placed: Sequence[tuple[Patch, tuple[int, int]]], width: int, height: int
) -> tuple[int, int] | None:
    """The highest corner, and of these the leftmost, for `patch` on a sheet of `width` × `height`; None without room.

    `placed`: what lies there, with corners.
    """
    high, wide = patch.pixels.shape[:2]
    left, above, right, below = patch.at_edges
    taken = np.array([(x, y, x + p.pixels.shape[1], y + p.pixels.shape[0]) for p, (x, y) in placed]).reshape(-1, 4)
    gaps = np.array([max(patch.gap, p.gap) for p, _ in placed], np.int64)
    x = _starts(wide, width, taken[:, 0] - gaps, taken[:, 2] + gaps, at_start=left, at_end=right)
    y = _starts(high, height, taken[:, 1] - gaps, taken[:, 3] + gaps, at_start=above, at_end=below)
    y, x = (each.reshape(-1, 1) for each in np.meshgrid(y, x, indexing="ij"))
    free = (x + wide <= taken[:, 0] - gaps) | (x >= taken[:, 2] + gaps)
    free |= (y + high <= taken[:, 1] - gaps) | (y >= taken[:, 3] + gaps)
    fits = free.all(axis=1)
    return (int(x[fits][0, 0]), int(y[fits][0, 0])) if fits.any() else None


def _starts(size: int, room: int, before: Places, behind: Places, *, at_start: bool, at_end: bool) -> Places:
    """Where `size` pixels can begin on a side of `room` pixels, rising: at an edge, before or behind what is there."""
    if at_start or at_end:
        return np.array([0 if at_start else room - size])
    starts = np.unique(np.concatenate([[0, room - size], before - size, behind]))
    return starts[(starts >= 0) & (starts + size <= room)]
