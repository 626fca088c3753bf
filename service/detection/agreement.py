"""What is seen on one level of the picture only, though others must have shown it, is believed less.

A real object looks like itself at twice and at half its size, and a detector scores it there, too. What only looks like
one at one size is most often texture: on a labeled half of an evaluation set this takes three of four false faces away
and finds as many real ones (docs/explanation/measurements.md).

Levels that are turned agree among themselves: a turned one says nothing of what is upright, so what upright levels find
is weighed as if there were no others. Lying heads are rare and turned texture is not, so what one turned level shows is
to be seen on another of that turn, or is believed less, whether the others could have shown it or not.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from service.imaging.detections import Detections, Float32
from service.policy import ClassPolicy, Policy

SAME = 0.3
"""Intersection over union from which boxes on two levels show the same object; a level draws small objects loosely."""

AS_SURE = 0.9
"""A box is confirmed by one on another level that scores this share of its own score."""

VISIBLE, WHOLE = 8.0, 400.0
"""Heights in a level's own pixels within which a detector must see an object there; beyond, a level has no say."""

ROWS = 1024
"""Boxes compared at a time, to bound memory."""

Bools = npt.NDArray[np.bool_]
Int32 = npt.NDArray[np.int32]


def floor(of_class: ClassPolicy) -> np.float32:
    """The least score of the detector that can matter for a class: its own weight or its word for another's."""
    rule = of_class.agreement
    if rule is None:
        return np.float32(of_class.threshold)
    return np.float32(of_class.threshold / max(rule.confirmed, rule.alone, 1.0) * AS_SURE)


def weigh(
    found: Detections, scale: Float32, quarters: Int32, scales: Mapping[int, frozenset[float]], policy: Policy
) -> Detections:
    """`found` with scores weighed by the agreement rule of each class, those at or over its threshold.

    `scale`: (N,) level pixels per picture pixel of the level on which each was found. `quarters`: (N,) by which it was
    turned, 0..3. `scales`: by `model_id`, every scale at which that model has searched the whole upright picture.
    Classes without a rule keep their scores, and so does all that is found on a sphere, whose levels do not cover the
    same directions.
    """
    weight = np.ones(len(found), np.float32)
    least = np.array([policy.of(name).threshold for name in found.classes], np.float32)
    for class_id, name in enumerate(found.classes):
        rule = policy.of(name).agreement
        if rule is None or found.sphere is not None:
            continue
        for model_id, searched in scales.items():
            own = (found.class_id == class_id) & (found.model_id == model_id)
            for turn in np.unique(quarters[own]):
                members = np.flatnonzero(own & (quarters == turn))
                seen_again = _confirmed(found.xyxy[members], found.score[members], scale[members])
                if turn and rule.turned is not None:
                    unconfirmed: Float32 | float = rule.turned
                else:
                    must_show = _visible_elsewhere(found.xyxy[members], scale[members], searched)
                    unconfirmed = np.where(must_show, np.float32(rule.alone), np.float32(1))
                weight[members] = np.where(seen_again, rule.confirmed, unconfirmed)
    score = np.minimum(found.score * weight, np.float32(1))
    weighed = replace(found, score=score)
    return weighed.take(score >= least[found.class_id])


def _confirmed(xyxy: Float32, score: Float32, scale: Float32) -> Bools:
    """Which boxes (n, 4) have one on another level that shows the same and is as sure: (n,)."""
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    confirmed = np.zeros(len(xyxy), np.bool_)
    for begin in range(0, len(xyxy), ROWS):
        rows = slice(begin, begin + ROWS)
        low = np.maximum(xyxy[rows, None, :2], xyxy[None, :, :2])
        high = np.minimum(xyxy[rows, None, 2:], xyxy[None, :, 2:])
        side = np.maximum(high - low, 0)
        common = side[..., 0] * side[..., 1]
        same = common >= SAME * (area[rows, None] + area[None] - common)
        sure = score[None] >= np.float32(AS_SURE) * score[rows, None]
        confirmed[rows] = (same & sure & (scale[rows, None] != scale[None])).any(axis=1)
    return confirmed


def _visible_elsewhere(xyxy: Float32, scale: Float32, searched: frozenset[float]) -> Bools:
    """Which boxes (n, 4) are neither too small nor too large to be seen on some other searched level: (n,)."""
    height = xyxy[:, 3] - xyxy[:, 1]
    visible = np.zeros(len(xyxy), np.bool_)
    for other in searched:
        visible |= (scale != other) & (height * other >= VISIBLE) & (height * other <= WHOLE)
    return visible
