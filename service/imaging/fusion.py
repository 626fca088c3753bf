"""Which detections are the same object, for counts and receipts only: the mask is the union of all of them.

Greedy non-maximum suppression per class, with two additions for tiles. What lies mostly inside an object is that
object, whatever the union of the two (a nose, a fragment at a tile's border). And a box that fits tightly around what
was counted before is the whole of which those are fragments: they become one, and what else lies in it joins them. A
box that is much larger than the objects in it was drawn too large and joins them without a say.
"""

import numpy as np
import numpy.typing as npt

from service.imaging.detections import Detections, Float32

FILLED = 0.6
"""Share of a box that the counted boxes in it must fill for them to be its fragments."""


def suppress(detections: Detections, iou: float = 0.45, containment: float = 0.75) -> Detections:
    """One detection per object, the highest-scored one, in the total order; the order of `detections` cannot matter.

    `iou`: intersection over union from which two boxes of a class are one object. `containment`: share of a box from
    which it lies "mostly inside" another.
    """
    ordered = detections.sorted()
    kept: list[npt.NDArray[np.intp]] = []
    for class_id in np.unique(ordered.class_id):
        members = np.flatnonzero(ordered.class_id == class_id)
        kept.append(members[_objects(ordered.xyxy[members], iou, containment)])
    return ordered.take(np.concatenate(kept)) if kept else ordered


def _objects(xyxy: Float32, iou: float, containment: float) -> npt.NDArray[np.bool_]:
    """Which of `xyxy` (n, 4), one class, best first, stand for an object of their own: (n,) bool.

    `covers` are boxes that stand for an object: the counted ones, and wholes around fragments, which only absorb.
    """
    n = len(xyxy)
    x1, y1, x2, y2 = np.ascontiguousarray(xyxy.T)
    area = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)
    counted = np.zeros(n, np.bool_)
    cover = np.zeros(n, np.intp)
    c_x1, c_y1, c_x2, c_y2, c_area = (np.empty(n, np.float32) for _ in range(5))
    covers = 0
    for i in range(n):
        seen = slice(0, covers)
        across = np.minimum(c_x2[seen], x2[i]) - np.maximum(c_x1[seen], x1[i])
        down = np.minimum(c_y2[seen], y2[i]) - np.maximum(c_y1[seen], y1[i])
        near = np.flatnonzero((across > 0) & (down > 0))
        common, theirs = across[near] * down[near], c_area[near]
        inside = bool((common >= containment * area[i]).any())
        same = bool((common >= iou * (theirs + area[i] - common)).any())
        fragment = (common >= containment * theirs) & counted[cover[near]] & (theirs < area[i])
        parts = cover[near[fragment]]
        if not inside and len(parts) and common[fragment].sum() >= FILLED * area[i]:
            counted[parts[1:]] = False
        elif inside or same or len(parts):
            continue
        else:
            counted[i] = True
        cover[covers] = i
        c_x1[covers], c_y1[covers], c_x2[covers], c_y2[covers], c_area[covers] = x1[i], y1[i], x2[i], y2[i], area[i]
        covers += 1
    return counted
