"""Which counted boxes show nothing that is annotated: false boxes, wherever every object of a class is annotated."""

from dataclasses import dataclass

import numpy as np

from service.evaluation.dataset import Box, Truth
from service.imaging.detections import Detections, Float32
from service.imaging.fusion import suppress

TOUCH = 0.1
"""A box that shares this much of its own area with an object shows it, however badly it fits."""

IGNORED = 0.5
"""A box of which this much lies in ignored regions counts neither way."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Boxes of one class in one picture, one for each object: those that show an annotated one, and those that do not.

    `false`: their boxes, x1, y1, x2, y2 in upright pixels.
    """

    true: int
    false: tuple[Box, ...]


def count(found: Detections, class_name: str, truths: tuple[Truth, ...]) -> Counted:
    """The objects of `found`, counted as receipts count them, against `truths` of the same class."""
    objects = suppress(found)
    if class_name not in objects.classes:
        return Counted(0, ())
    boxes = objects.xyxy[objects.class_id == objects.classes.index(class_name)]
    touching = _shares(boxes, [each.xyxy for each in truths if not each.ignored]).max(axis=1, initial=0) >= TOUCH
    ignored = _shares(boxes, [each.xyxy for each in truths if each.ignored]).max(axis=1, initial=0) >= IGNORED
    false = boxes[~touching & ~ignored]
    return Counted(int(touching.sum()), tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in false))


def _shares(boxes: Float32, others: list[Box]) -> Float32:
    """Share of each of `boxes` (n, 4) that each of `others` covers: (n, len(others))."""
    theirs = np.array(others, np.float32).reshape(-1, 4)
    low = np.maximum(boxes[:, None, :2], theirs[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], theirs[None, :, 2:])
    side = np.maximum(high - low, 0)
    area = np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 1e-6)
    shares: Float32 = side[..., 0] * side[..., 1] / area[:, None]
    return shares
