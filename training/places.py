"""Proposals on disk: written by processes side by side, read by the training of the second stage."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.proposals import DRAWN, Proposals

PART = 10_000
"""Places in one file."""
PLATE, OTHER, UNSURE = 0.5, 0.1, 0.2
"""IoU from which a place is a plate, up to which it is none, and share of it in what is unclear from which it is
neither."""
HARD = 0.2
"""Score of the first stage from which a wrong proposal is a hard one."""


def write(proposals: Iterator[Proposals], folder: Path, name: str, count: int) -> int:
    """Writes at least `count` places to `folder`, in files that begin with `name`; how many."""
    folder.mkdir(parents=True, exist_ok=True)
    written = number = 0
    while written < count:
        waiting: list[Proposals] = []
        while sum(map(len, waiting)) < min(PART, count - written):
            waiting.append(next(proposals))
        for each in fields(Proposals):
            column = np.concatenate([getattr(one, each.name) for one in waiting])
            np.save(folder / f"{name}-{number:03d}.{each.name}.npy", column)
        written, number = written + sum(map(len, waiting)), number + 1
    return written


class Places:
    """All places of a folder, in memory: they are drawn in no order, which a mapped file would be read slowly for."""

    def __init__(self, folder: Path) -> None:
        self.score, self.overlap, self.unclear, self.offsets, self.sides = (
            np.concatenate([np.load(file) for file in sorted(folder.glob(f"*.{name}.npy"))])
            for name in ("score", "overlap", "unclear", "offsets", "sides")
        )
        self._pixels = [np.load(file) for file in sorted(folder.glob("*.pixels.npy"))]
        self._begins = np.cumsum([0, *map(len, self._pixels)])

    def __len__(self) -> int:
        return len(self.score)

    @property
    def plates(self) -> NDArray[np.bool_]:
        return np.asarray(self.overlap >= PLATE)

    @property
    def others(self) -> NDArray[np.bool_]:
        """What is surely none: neither a part of a plate nor unclear."""
        return np.asarray((self.overlap <= OTHER) & (self.unclear <= UNSURE))

    def leave_out(self, numbers: NDArray[np.intp]) -> None:
        """These are not learned any more: neither plates nor others."""
        self.unclear[numbers] = 1

    def pools(self) -> tuple[NDArray[np.intp], ...]:
        """Numbers of the places that are proposed plates, plates with drawn boxes, hard others and easy others."""
        drawn, hard = self.score == DRAWN, self.score > HARD
        chosen = (self.plates & ~drawn, self.plates & drawn, self.others & hard, self.others & ~hard & ~drawn)
        return tuple(np.flatnonzero(each) for each in chosen)

    def pixels(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        """(n, HEIGHT, WIDTH, 3), RGB."""
        part = np.searchsorted(self._begins, numbers, side="right") - 1
        return np.stack([self._pixels[p][k - self._begins[p]] for p, k in zip(part, numbers, strict=True)])
