"""Samples for blocks whose own may not be looked at, from the blocks around them.

Pull and push (Gortler et al. 1996, The Lumigraph, §3.4): means over ever larger cells, up to whole blocks, then back
down, each level smooth where nothing finer is known.
"""

from typing import cast

import cv2
import numpy as np

from service.imaging.detections import Float32
from service.imaging.outlines import Bools

BLOCK = 8
SOFTENING = 1.5
"""Standard deviation in samples of the last smoothing, which takes the grid of the levels away."""


def fill_in(plane: Float32, known: Bools, wanted: Bools) -> None:
    """Writes into the 8×8 blocks of `plane` (8h, 8w) that are not `known` (h, w) what their surroundings suggest.

    What they held has no influence. Those not `wanted` (h, w) get anything. Where nothing at all is known, 0.
    """
    if not (wanted & ~known).any():
        return
    unknown = ~known.repeat(BLOCK, 0).repeat(BLOCK, 1)
    np.copyto(plane, 0, where=unknown)
    levels = [plane]
    while len(levels) < 4:  # noqa: PLR2004 - cells of 1, 2, 4 and 8 samples
        height, width = levels[-1].shape
        smaller = cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        levels.append(cast(Float32, smaller))
    coarse = _spread(levels.pop(), known, wanted)
    for size, level in zip((4, 2, 1), reversed(levels), strict=True):
        there = known.repeat(BLOCK // size, 0).repeat(BLOCK // size, 1)
        coarse = cast(Float32, cv2.resize(coarse, level.shape[::-1], interpolation=cv2.INTER_LINEAR))
        np.copyto(coarse, level, where=there)
    softened = cv2.GaussianBlur(coarse, (0, 0), SOFTENING, borderType=cv2.BORDER_REPLICATE)
    np.copyto(plane, cast(Float32, softened), where=unknown)


def _spread(means: Float32, known: Bools, wanted: Bools) -> Float32:
    """`means` (h, w) with each unknown one the weighted mean of its neighbors, ring by ring until all wanted are."""
    values, weight = np.where(known, means, 0).astype(np.float32), known.astype(np.float32)
    while known.any() and not weight[wanted].all():
        near = cv2.GaussianBlur(weight, (3, 3), 0, borderType=cv2.BORDER_CONSTANT)
        sums = cv2.GaussianBlur(values * weight, (3, 3), 0, borderType=cv2.BORDER_CONSTANT)
        new = (weight == 0) & (near > 0)
        values[new] = sums[new] / near[new]
        weight[new] = 1
    return values
