"""The 8×8 cosine transform of JPEG (ITU-T T.81 §A.3.3) on stacks of blocks, in float32."""

import numpy as np
import numpy.typing as npt

from service.imaging.detections import Float32

Coefficients = npt.NDArray[np.int16]

_order, _place = np.mgrid[0:8, 0:8]
_cosines = np.cos((2 * _place + 1) * _order * np.pi / 16) * np.where(_order == 0, np.sqrt(1 / 8), 0.5)
BASIS: Float32 = np.asarray(np.kron(_cosines, _cosines), np.float32)
"""(64, 64), orthonormal: row v × 8 + u is the pattern of coefficient (u, v), in natural order."""

HALVED = 4
"""Means of 2 × 2 samples over the side of a block."""

HALVED_BASIS: Float32 = np.ascontiguousarray(BASIS.reshape(64, HALVED, 2, HALVED, 2).mean(axis=(2, 4)).reshape(64, -1))
"""(64, 16): those means of each pattern."""

BATCH = 32
"""Blocks that are multiplied at a time: so few that BLAS does not share them out to threads, which only wait then."""

LEAST_DC, LARGEST = -1024, 1023
"""What 8-bit samples can give, and Huffman codes of the baseline process can hold (T.81 §F.1.2)."""

LEAST: Float32 = np.where(np.arange(64) == 0, LEAST_DC, -LARGEST).astype(np.float32)


def samples(coefficients: Coefficients, steps: Float32) -> Float32:
    """(n, 64) quantized coefficients as (n, 8, 8) samples around 0; `steps` (64,) is the quantization table."""
    return batched(coefficients * steps, BASIS).reshape(-1, 8, 8)


def halved_samples(coefficients: Coefficients, steps: Float32) -> Float32:
    """The means of 2 × 2 of those samples each: (n, 4, 4)."""
    return batched(coefficients * steps, HALVED_BASIS).reshape(-1, HALVED, HALVED)


def quantized(blocks: Float32, steps: Float32) -> Coefficients:
    """(n, 8, 8) samples around 0 as (n, 64) coefficients, rounded to the nearest multiple of `steps` (64,)."""
    values = batched(blocks.reshape(-1, 64), BASIS.T)
    values /= steps
    np.rint(values, out=values)
    np.maximum(values, LEAST, out=values)
    np.minimum(values, LARGEST, out=values)
    rounded: Coefficients = values.astype(np.int16)
    return rounded


def batched(rows: Float32, matrix: Float32) -> Float32:
    """`rows` (n, k) times `matrix` (k, m)."""
    wide, count = rows.shape[1], -(-len(rows) // BATCH)
    batches = np.empty((count, BATCH, wide), np.float32)
    padded = batches.reshape(-1, wide)
    padded[: len(rows)], padded[len(rows) :] = rows, 0
    product: Float32 = (batches @ matrix).reshape(-1, matrix.shape[1])[: len(rows)]
    return product
