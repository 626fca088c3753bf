"""Samples for blocks whose own may not be looked at, from the blocks around them.

Pull and push (Gortler et al. 1996, The Lumigraph, §3.4): means over ever larger cells, up to whole blocks, then back
down, each level smooth where nothing finer is known. Means of 2 × 2 samples are the finest: what is shown is smoothed
so much that nothing finer would be left of it.
"""

from typing import cast

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from service.imaging.dct import HALVED, batched
from service.imaging.detections import Float32
from service.imaging.outlines import Bools

SOFTENING = 1.5
"""Standard deviation in samples of the last smoothing, which takes the grid of the levels away."""

CONTEXT = 3
"""Means beside a block that its smoothing looks at: 6 samples, four standard deviations."""

_apart = np.subtract.outer(np.arange(8) + 0.5, 2 * np.arange(-CONTEXT, HALVED + CONTEXT) + 1)
_shares = np.exp(-((_apart / SOFTENING) ** 2) / 2)
_shares /= _shares.sum(axis=1, keepdims=True)
SOFTENED: Float32 = np.asarray(np.kron(_shares, _shares).T, np.float32)
"""(100, 64): from the means in and around a block, 10 × 10, to its samples."""


def filled(means: Float32, known: Bools, wanted: Bools) -> Float32:
    """What their surroundings suggest for the blocks that are `wanted` (h, w), none of them `known` (h, w): (n, 8, 8).

    `means`: (4h, 4w), over 2 × 2 samples. What it says of blocks that are not known has no influence. 0 where nothing
    at all is known.
    """
    levels = [means]
    for _ in range(2):
        size = levels[-1].shape[1] // 2, levels[-1].shape[0] // 2
        levels.append(cast(Float32, cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA).reshape(size[::-1])))
    coarse = _spread(levels.pop(), known, wanted)
    for level in reversed(levels):
        finer = level.shape[0] // len(known)
        there = known.repeat(finer, 0).repeat(finer, 1)
        coarse = cast(Float32, cv2.resize(coarse, level.shape[::-1], interpolation=cv2.INTER_LINEAR))
        np.copyto(coarse, level, where=there)
    around = cast(Float32, cv2.copyMakeBorder(coarse, CONTEXT, CONTEXT, CONTEXT, CONTEXT, cv2.BORDER_REPLICATE))
    side = HALVED + 2 * CONTEXT
    windows = sliding_window_view(around, (side, side))[::HALVED, ::HALVED][wanted]
    return batched(windows.reshape(-1, side * side), SOFTENED).reshape(-1, 8, 8)


def _spread(means: Float32, known: Bools, wanted: Bools) -> Float32:
    """`means` (h, w) with each unknown one the weighted mean of its neighbors, ring by ring.

    Until all that are wanted are, and those beside them.
    """
    values, weight = np.where(known, means, np.float32(0)), known.astype(np.float32)
    beside = cv2.dilate(wanted.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    while not weight[beside].all() and weight.any():
        near = cv2.GaussianBlur(weight, (3, 3), 0, borderType=cv2.BORDER_CONSTANT)
        sums = cv2.GaussianBlur(values * weight, (3, 3), 0, borderType=cv2.BORDER_CONSTANT)
        new = (weight == 0) & (near > 0)
        values[new] = sums[new] / near[new]
        weight[new] = 1
    return values
