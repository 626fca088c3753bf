"""Recall against false boxes: what a threshold on the score costs and gives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.photographs import Boxes
from training.search import Found

HIDDEN = 0.75
"""A plate counts as hidden when this share of its box is covered."""
HEIGHTS = ((0, 16), (16, 32), (32, 96), (96, 1 << 20))
_GRID = (np.arange(48) + 0.5) / 48


@dataclass(frozen=True)
class Point:
    """One threshold: (hidden, all) plates altogether and by height in pixels, and false boxes."""

    threshold: float
    hidden: tuple[int, int]
    by_height: dict[tuple[int, int], tuple[int, int]]
    false_boxes: int
    pictures: int

    @property
    def recall(self) -> float:
        return self.hidden[0] / max(1, self.hidden[1])

    @property
    def false_per_picture(self) -> float:
        return self.false_boxes / max(1, self.pictures)


def measure(found: Sequence[Found], threshold: float, margin: float) -> Point:
    """What is hidden at `threshold` with boxes grown by `margin` of their sides, and what is hidden for nothing."""
    counts = {bucket: [0, 0] for bucket in HEIGHTS}
    false = 0
    for each in found:
        boxes = _grown(each.boxes[each.scores >= threshold], margin)
        for plate in each.labels.plates:
            bucket = next(b for b in HEIGHTS if b[0] <= plate[3] - plate[1] < b[1])
            counts[bucket][0] += covered(plate, boxes) >= HIDDEN
            counts[bucket][1] += 1
        false += int(is_false(each, each.objects[each.object_scores >= threshold]).sum())
    by_height = {bucket: (hidden, total) for bucket, (hidden, total) in counts.items()}
    hidden = (sum(h for h, _ in by_height.values()), sum(t for _, t in by_height.values()))
    return Point(threshold, hidden, by_height, false, len(found))


def threshold_for(found: Sequence[Found], false_per_picture: float) -> float:
    """The lowest threshold with at most so many false boxes per picture."""
    scores = np.concatenate([each.object_scores[is_false(each, each.objects)] for each in found])
    allowed = int(false_per_picture * len(found))
    ordered = np.sort(scores)[::-1]
    return float(ordered[allowed]) + 1e-4 if len(ordered) > allowed else float(ordered[-1]) if len(ordered) else 0.1


def covered(plate: Boxes, boxes: Boxes) -> float:
    """Share of `plate` (4,) that the union of `boxes` covers, on a grid."""
    x = plate[0] + _GRID * (plate[2] - plate[0])
    y = plate[1] + _GRID * (plate[3] - plate[1])
    hidden = np.zeros((len(y), len(x)), np.bool_)
    for x1, y1, x2, y2 in boxes:
        hidden |= ((y >= y1) & (y <= y2))[:, None] & ((x >= x1) & (x <= x2))
    return float(hidden.mean())


def is_false(found: Found, boxes: Boxes) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of `boxes` touch no plate and nothing unclear: less than 30 % of the box and a tenth of the union."""
    known = np.concatenate([found.labels.plates, found.labels.unclear])
    if not len(known) or not len(boxes):
        return np.ones(len(boxes), np.bool_)
    low = np.maximum(boxes[:, None, :2], known[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], known[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    own = (boxes[:, 2:] - boxes[:, :2]).prod(-1)[:, None]
    theirs = (known[:, 2:] - known[:, :2]).prod(-1)[None]
    touching = (common > 0.3 * own) | (common > 0.1 * (own + theirs - common))
    return np.asarray(~touching.any(1))


def _grown(boxes: Boxes, margin: float) -> Boxes:
    side = (boxes[:, 2:] - boxes[:, :2]) * margin
    return np.concatenate([boxes[:, :2] - side, boxes[:, 2:] + side], 1)


def line(name: str, point: Point) -> str:
    """One row of the report."""
    heights = "  ".join(
        f"{low}-{high if high < 1 << 20 else ''} {hidden}/{total}"
        for (low, high), (hidden, total) in point.by_height.items()
    )
    return (f"{name:22s} t {point.threshold:.3f}  hidden {point.recall:.3f} ({point.hidden[0]}/{point.hidden[1]})  "
            f"false {point.false_per_picture:.2f} per picture ({point.pictures})  {heights}")  # fmt: skip
