"""A small model before the detectors: tiles in which it sees nothing that could matter are not asked about.

Most tiles of a street show neither a face nor a plate, and a network that only has to tell so much costs a fifteenth of
those that find them: a cascade (Viola and Jones, 2001, section 4). The gate fulfills the same contract as a detector
and is proven like one; its boxes are the cells of a coarse map and are used for nothing but this.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.detection.agreement import floor
from service.detection.detector import Detector, Tiles
from service.detection.jobs import Job
from service.imaging.detections import Detections
from service.imaging.sphere_views import AnyView, shows
from service.models.catalog import ModelSpec
from service.policy import Policy

Bools = npt.NDArray[np.bool_]

LeftOut = tuple[AnyView, Detector]
"""A view, and a detector that was not asked about it."""

GRID = np.stack(np.meshgrid([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]), axis=-1).reshape(-1, 2)
"""Places in a box, as shares of its sides."""


class Gate:
    """`detector` as a gate: scores at or over its specification's threshold let a tile through to those it gates."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    @property
    def spec(self) -> ModelSpec:
        return self._detector.spec

    def stands_before(self, spec: ModelSpec, policy: Policy) -> bool:
        """Whether it may keep tiles from the detector `spec` in a search under `policy`.

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

    async def wanted(self, tiles: Tiles, detectors: Sequence[Detector], gated: frozenset[str]) -> list[Bools]:
        """For each of `detectors`, which of `tiles` (N, height, width, 3) it is to be asked about: (N,) each.

        All, for those whose labels are not in `gated`. Raises as `Detector.detect`.
        """
        answer = await self._detector.detect(tiles)
        labels = np.zeros(answer.scores.shape, np.int32) if answer.labels is None else answer.labels
        seen = answer.scores >= np.float32(self.spec.threshold)
        wanted = []
        for each in detectors:
            if each.spec.label in gated:
                known = [self.spec.classes.index(name) for name in each.spec.classes]
                wanted.append(np.asarray((seen & np.isin(labels, known)).any(axis=1)))
            else:
                wanted.append(np.ones(len(tiles), np.bool_))
        return wanted


def second_looks(left_out: Sequence[LeftOut], found: Sequence[Detections], models: tuple[str, ...]) -> list[Job]:
    """Jobs for those left out after all: views of what the same detector has `found` in others, if it can matter.

    What can is decided by the detector's own threshold, so that a search for less sure objects looks at the same tiles.
    So that an object that is found once is looked at on every level, as it would be without a gate: masks are the union
    of what levels show, and scores are weighed by whether they agree.
    """
    places = {}
    for spec in {detector.spec for _, detector in left_out}:
        number, least = models.index(spec.label), min(map(floor, spec.class_policies()))
        kept = [each.xyxy[(each.model_id == number) & (each.score >= least)] for each in found]
        xyxy = np.concatenate([np.zeros((0, 4)), *kept])
        places[spec.label] = (xyxy[:, None, :2] + GRID * (xyxy[:, None, 2:] - xyxy[:, None, :2])).reshape(-1, 2)
    return [
        Job((view,), (detector,), always=True)
        for view, detector in left_out
        if shows(view, places[detector.spec.label]).any()
    ]
