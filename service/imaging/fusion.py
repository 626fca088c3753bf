"""Which detections are the same object, for counts and receipts only: the mask is the union of all of them.

Greedy non-maximum suppression per class, with two additions for tiles. What lies mostly inside an object is that
object, whatever the union of the two (a nose, a fragment at a tile's border). And a box that fits tightly around what
was counted before is the whole of which those are fragments: they become one, and what else lies in it joins them. A
box that is much larger than the objects in it was drawn too large and joins them without a say.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.imaging.curved import edges, flat_as_curved, middles
from service.imaging.detections import Detections
from service.imaging.sphere import Float64, axes, into_frame

FILLED = 0.6
"""Share of a box that the counted boxes in it must fill for them to be its fragments."""


FARTHEST = 0.2
"""Cosine of the angle between two boxes' middles beyond which they are not compared: about 80°."""


class Boxes(Protocol):
    """n boxes that can be compared, also where they lie around a sphere."""

    def __len__(self) -> int: ...

    def beside(self, index: int, others: npt.NDArray[np.intp]) -> Float64:
        """Box `index`, then `others` seen alike: (1 + k, 4); those that cannot meet it have no area."""


def suppress(detections: Detections, iou: float = 0.45, containment: float = 0.75) -> Detections:
    """One detection per object, the highest-scored one, in the total order; the order of `detections` cannot matter.

    `iou`: intersection over union from which two boxes of a class are one object. `containment`: share of a box from
    which it lies "mostly inside" another. In a panorama an object counts once, too: boxes are compared in the frame of
    the one that is looked at, so neither the seam nor the stretching near a pole takes part.
    """
    ordered = detections.sorted()
    kept: list[npt.NDArray[np.intp]] = []
    for class_id in np.unique(ordered.class_id):
        members = np.flatnonzero(ordered.class_id == class_id)
        kept.append(members[_objects(_comparable(ordered.take(members)), iou, containment)])
    return ordered.take(np.concatenate(kept)) if kept else ordered


def _comparable(detections: Detections) -> Boxes:
    if detections.sphere is None or detections.curved is None:
        return FlatBoxes(detections.xyxy.astype(np.float64))
    curved = detections.curved.copy()
    flat = detections.flat()
    curved[flat] = flat_as_curved(detections.xyxy[flat].astype(np.float64), detections.sphere)
    return SphereBoxes(curved)


@dataclass(frozen=True, slots=True)
class FlatBoxes:
    """Boxes (n, 4) of a flat picture."""

    xyxy: Float64

    def __len__(self) -> int:
        return len(self.xyxy)

    def beside(self, index: int, others: npt.NDArray[np.intp]) -> Float64:
        return np.vstack([self.xyxy[index], self.xyxy[others]])


class SphereBoxes:
    """Curved boxes (n, 6) around a sphere."""

    def __init__(self, curved: Float64) -> None:
        self._curved = curved
        self._frames = axes(curved[:, 0], curved[:, 1])
        self._edges = edges(curved, per_side=2)
        self._middles = middles(curved)

    def __len__(self) -> int:
        return len(self._curved)

    def beside(self, index: int, others: npt.NDArray[np.intp]) -> Float64:
        """In the frame of box `index`, upright boxes around the others."""
        own = self._curved[index, 2:]
        boxes = np.zeros((1 + len(others), 4))
        boxes[0] = own
        ahead = np.flatnonzero(self._middles[others] @ self._middles[index] > FARTHEST)
        around = into_frame(self._edges[others[ahead]], self._frames[index])
        low, high = around.min(axis=1), around.max(axis=1)
        seen = ~np.isnan(low[:, 0])
        boxes[1 + ahead[seen]] = np.hstack([low, high])[seen]
        return boxes


def _objects(boxes: Boxes, iou: float, containment: float) -> npt.NDArray[np.bool_]:
    """Which of `boxes`, one class, best first, stand for an object of their own: (n,) bool.

    `cover` are boxes that stand for an object: the counted ones, and wholes around fragments, which only absorb.
    """
    n = len(boxes)
    counted = np.zeros(n, np.bool_)
    cover = np.zeros(n, np.intp)
    covers = 0
    for i in range(n):
        x1, y1, x2, y2 = np.ascontiguousarray(boxes.beside(i, cover[:covers]).T)
        area = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)
        across = np.minimum(x2[1:], x2[0]) - np.maximum(x1[1:], x1[0])
        down = np.minimum(y2[1:], y2[0]) - np.maximum(y1[1:], y1[0])
        near = np.flatnonzero((across > 0) & (down > 0))
        common, theirs, own = across[near] * down[near], area[1 + near], area[0]
        inside = bool((common >= containment * own).any())
        same = bool((common >= iou * (theirs + own - common)).any())
        fragment = (common >= containment * theirs) & counted[cover[near]] & (theirs < own)
        parts = cover[near[fragment]]
        if not inside and len(parts) and common[fragment].sum() >= FILLED * own:
            counted[parts[1:]] = False
        elif inside or same or len(parts):
            continue
        else:
            counted[i] = True
        cover[covers] = i
        covers += 1
    return counted
