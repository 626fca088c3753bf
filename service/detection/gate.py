"""A small model before the detectors: where it sees nothing that could matter, they are not asked.

Most of a street shows neither a face nor a plate, and a network that only has to tell so much costs a twelfth of
those that find them: a cascade (Viola and Jones, 2001, section 4). The gate fulfills the same contract as a detector
and is proven like one; its boxes are the cells of a coarse map and are used for nothing but this.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.detection.agreement import floor
from service.detection.detector import Detector, Tiles
from service.detection.regions import Bools, mark, no_cells
from service.imaging.detections import Detections
from service.imaging.sphere_views import AnyView, in_tile
from service.models.catalog import ModelSpec
from service.policy import Policy

Looked = tuple[AnyView, Detector, Bools]
"""A view, and the cells of its tile that a detector was asked about."""

SecondLook = tuple[AnyView, list[tuple[Detector, Bools]]]
"""A view, and the cells of its tile that detectors are to be asked about."""

AROUND = 96.0
"""Pixels of the tile around what may be something that are searched with it: detectors see by what is around."""

CLOSE = 32.0
"""Pixels around what was found within which everything must have been searched."""


class Gate:
    """`detector` as a gate: what scores at or over its specification's threshold is searched by those it gates."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    @property
    def spec(self) -> ModelSpec:
        return self._detector.spec

    def stands_before(self, spec: ModelSpec, policy: Policy) -> bool:
        """Whether it may keep parts of tiles from the detector `spec` in a search under `policy`.

        It has learned what that version finds at its own threshold. Whoever asks for less sure objects of some class
        wants what the gate may leave out.
        """
        sizes = {(each.tile_height, each.tile_width) for each in (spec, self.spec)}
        asked = [policy.of(name).threshold for name in spec.classes if name in policy.class_names]
        return (
            spec.label in self.spec.gates
            and set(spec.classes) <= set(self.spec.classes)
            and len(sizes) == 1
            and all(np.float32(each) >= np.float32(spec.threshold) for each in asked)
        )

    async def cells(self, tiles: Tiles, detectors: Sequence[Detector], gated: frozenset[str]) -> list[Bools]:
        """For each of `detectors`, (N, rows, columns): the cells to be searched of `tiles` (N, height, width, 3).

        All cells, for those whose labels are not in `gated`, and where the gate sees
        more than it has words for. Raises as `Detector.detect`.
        """
        answer = await self._detector.detect(tiles)
        labels = np.zeros(answer.scores.shape, np.int32) if answer.labels is None else answer.labels
        seen = answer.scores >= np.float32(self.spec.threshold)
        nothing = no_cells(self.spec.tile_width, self.spec.tile_height)
        searched = []
        for each in detectors:
            cells = np.repeat(nothing[None], len(tiles), axis=0)
            if each.spec.label in gated:
                own = seen & np.isin(labels, [self.spec.classes.index(name) for name in each.spec.classes])
                for of_tile, boxes, which in zip(cells, answer.boxes, own, strict=True):
                    mark(of_tile, boxes[which], AROUND)
                cells[seen.all(axis=1)] = True
            else:
                cells[:] = True
            searched.append(cells)
        return searched


def second_looks(looked: Sequence[Looked], found: Sequence[Detections], models: tuple[str, ...]) -> list[SecondLook]:
    """What is to be searched after all: where the same detector has `found` something elsewhere, if it can matter.

    What can is decided by the detector's own threshold, so that a search for less sure objects looks at the same
    places. So that an object that is found once is looked at on every level, as it would be without a gate: masks are
    the union of what levels show, and scores are weighed by whether they agree. So is, in its own tile, what lies too
    close to the edge of the part that was searched.
    """
    places = {}
    for spec in {detector.spec.label: detector.spec for _, detector, _ in looked}.values():
        number, least = models.index(spec.label), min(map(floor, spec.class_policies()))
        kept = [each.xyxy[(each.model_id == number) & (each.score >= least)] for each in found]
        places[spec.label] = np.concatenate([np.zeros((0, 4)), *kept])
    again: dict[AnyView, list[tuple[Detector, Bools]]] = {}
    for view, detector, searched in looked:
        cells = _not_yet(searched, in_tile(view, places[detector.spec.label]))
        if cells.any():
            again.setdefault(view, []).append((detector, cells))
    return list(again.items())


def _not_yet(searched: Bools, boxes: npt.NDArray[np.float64]) -> Bools:
    """The cells around those of `boxes` (n, 4), NaN for none, that are not `searched` as far as `CLOSE` around them."""
    cells = np.zeros_like(searched)
    for box in boxes[~np.isnan(boxes[:, 0])]:
        needed = np.zeros_like(searched)
        mark(needed, [box], CLOSE)
        if (needed & ~searched).any():
            mark(cells, [box], AROUND)
    return cells
