"""How much of an annotated box the fully hiding part of the mask covers, at the policy's thresholds and at any other.

Coverage is |truth ∩ mask| / |truth|, never intersection over union: a mask that is too large hides as well. A pixel
that the box's border cuts counts with the part that lies within.
"""

import numpy as np
import numpy.typing as npt

from service.evaluation.dataset import Box, Truth
from service.imaging.detections import Detections, Float32
from service.imaging.masking import Mask, build_mask
from service.imaging.outlines import Window, common
from service.policy import Policy

Float64 = npt.NDArray[np.float64]

HIDDEN, STRICT = 0.75, 0.9
"""Shares of a box that must be covered for it to count as hidden, and as strictly hidden."""

NEVER = 0.0
"""Stands for: not hidden at any threshold of the search."""

ROUNDING = 1e-9


def coverage(mask: Mask, box: Box) -> float:
    """Share of `box` (x1, y1, x2, y2 in upright pixels, within the picture) under fully hiding pixels, 0..1."""
    window, weights = pixel_shares(box)
    return float((weights * mask.hidden(window)).sum())


def pixel_shares(box: Box) -> tuple[Window, Float64]:
    """The pixels that `box` touches, and the share of the box that lies in each: (h, w), sum 1."""
    x1, y1, x2, y2 = box
    left, top, right, bottom = int(np.floor(x1)), int(np.floor(y1)), int(np.ceil(x2)), int(np.ceil(y2))
    across = np.minimum(np.arange(left, right) + 1, x2) - np.maximum(np.arange(left, right), x1)
    down = np.minimum(np.arange(top, bottom) + 1, y2) - np.maximum(np.arange(top, bottom), y1)
    shares = np.outer(down, across)
    return (left, top, right, bottom), shares / shares.sum()


class ScoreMap:
    """The masks of a picture at all thresholds at once: for each pixel, the best score that hides it.

    The mask is the union of what its detections hide, so a pixel is hidden at a threshold if one detection with that
    score or more hides it.
    """

    def __init__(self, detections: Detections, policy: Policy, width: int, height: int) -> None:
        self._masks: list[tuple[str, np.float32, Mask, Window]] = []
        for i in range(len(detections)):
            mask = build_mask(detections.take(np.array([i])), policy, width, height)
            name = detections.classes[detections.class_id[i]]
            self._masks.extend((name, detections.score[i], mask, mask.window(region)) for region in mask.regions)

    def hidden_up_to(self, truth: Truth, share: float) -> float:
        """The highest threshold of the truth's class at which `share` of it is covered, NEVER if at none.

        Only detections of its own class count: those of others are not there when a policy asks for one class.
        """
        window, weights = pixel_shares(truth.xyxy)
        best: Float32 = np.zeros(weights.shape, np.float32)
        for name, score, mask, reach in self._masks:
            x1, y1, x2, y2 = part = common(reach, window)
            if name == truth.class_name and x1 < x2 and y1 < y2:
                place = best[y1 - window[1] : y2 - window[1], x1 - window[0] : x2 - window[0]]
                np.maximum(place, np.where(mask.hidden(part), score, 0), out=place)
        order = np.argsort(-best, axis=None, kind="stable")
        covered = np.cumsum(weights.flat[order])
        enough = int(np.searchsorted(covered, share - ROUNDING))
        return float(best.flat[order[enough]]) if enough < len(order) else NEVER
