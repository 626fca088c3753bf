"""Parts of many tiles side by side in one: a detector is asked about all of them at once, in the size it expects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.detection.detector import TileBoxes, Tiles
from service.imaging.sphere_views import AnyView
from service.imaging.views import PAD, View

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
    """`patches` on as few sheets of `width` × `height` as first fit by falling height gives: shelves from the top.

    Coffman, Garey, Johnson and Tarjan (1980), Performance bounds for level-oriented two-dimensional packing algorithms.
    """
    shelves: list[_Shelf] = []
    used: list[int] = []
    placed: list[list[tuple[Patch, tuple[int, int]]]] = []
    for patch in sorted(patches, key=lambda patch: -patch.pixels.shape[0]):
        high, wide = patch.pixels.shape[:2]
        shelf = next((each for each in shelves if each.filled + wide <= width), None)
        if shelf is None:
            number = next((i for i, rows in enumerate(used) if rows + high <= height), len(used))
            if number == len(used):
                used.append(0)
                placed.append([])
            shelf = _Shelf(number, used[number])
            used[number] += high + patch.gap
            shelves.append(shelf)
        placed[shelf.sheet].append((patch, (shelf.filled, shelf.y)))
        shelf.filled += wide + patch.gap
    return [Sheet(tuple(p for p, _ in each), tuple(c for _, c in each), width, height) for each in placed]


@dataclass(slots=True)
class _Shelf:
    """A row of patches on sheet number `sheet` at `y`, `filled` from the left."""

    sheet: int
    y: int
    filled: int = 0
