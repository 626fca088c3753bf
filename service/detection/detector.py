"""The one contract that every engine fulfills: uint8 tiles in, boxes and scores out.

All pre- and post-processing (cast, normalization, decoding, peaks, top-K) is inside the model's graph, so an engine
only carries arrays. Whatever fulfills this can be plugged in by configuration.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.models.catalog import ModelSpec

SOON, LATER = 1.0, 5.0
"""Seconds in Retry-After: for a server that is busy, and for one that is gone."""

Tiles = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TileBoxes:
    """A model's answer for N tiles.

    `boxes`: (N, K, 4) float32 x1, y1, x2, y2 in tile pixels. `scores`: (N, K) float32, falling; 0 in unused slots.
    `labels`: (N, K) int32 into the model's classes, or None for a model of one class.
    """

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32] | None = None

    def moved(self, x: int, y: int) -> "TileBoxes":
        """As seen from a corner that lies `x` and `y` pixels further left and up."""
        return replace(self, boxes=self.boxes + np.array([x, y, x, y], np.float32))


class Detector(Protocol):
    """One model behind one engine."""

    @property
    def spec(self) -> ModelSpec:
        """Name, version, classes, tile size, checksum."""

    @property
    def max_batch(self) -> int:
        """Tiles that one call may carry."""

    @property
    def any_size(self) -> bool:
        """Whether it also takes tiles with smaller sides, multiples of 32 from 64 on, each at its share of the cost."""

    async def detect(self, tiles: Tiles) -> TileBoxes:
        """Boxes for `tiles` (N, tile_height, tile_width, 3) uint8 RGB, 1 ≤ N ≤ max_batch; see `any_size`.

        Raises DetectorUnavailable, DetectorTimeout or DetectorContractBroken; never returns a partial answer.
        """

    async def check(self) -> None:
        """Returns if the model can serve right now and is the one of the catalog; raises DetectionFailed if not."""

    async def close(self) -> None: ...
