"""The blocks of one component under what lies over them: which of them change, and what they become."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from service.imaging.dct import HALVED, Coefficients, halved_samples, quantized, samples
from service.imaging.detections import Float32
from service.imaging.infill import filled
from service.imaging.jpeg_grid import BLOCK
from service.imaging.jpeg_sheet import SheetPlane
from service.imaging.outlines import Bools

NEAR = np.ones((7, 7), np.uint8)
"""How far around a block what is known matters to what it is filled with: three blocks."""


@dataclass(frozen=True, slots=True)
class Layered:
    """What lies over a plane of h × w blocks.

    `paint`: (channels + 1, 8h, 8w), colors times their weight, and at last the weight. By block, (h, w): whether
    anything is `laid` over it, anything of it `shows`, and anything that it is coded together with is `hidden`.
    """

    paint: Float32
    laid: Bools
    shows: Bools
    hidden: Bools


def layered(paint: Float32, hidden: Bools, scale: tuple[int, int]) -> Layered:
    """`paint` (channels + 1, h, w) and what is `hidden` (h, w), in pixels, for samples of `scale` = w, h pixels."""
    sampled = _reduced(paint, scale)
    laid, shows = _any(sampled[-1] > 0, BLOCK, BLOCK), _any(sampled[-1] < 1, BLOCK, BLOCK)
    return Layered(sampled, laid, shows, _any(hidden, BLOCK * scale[1], BLOCK * scale[0]))


def composite(plane: SheetPlane, over: Layered, shares: Float32, steps: Float32) -> None:
    """Puts `over` over the blocks of `plane` that may be changed: `changed` are those that were.

    `shares`: of each channel in this component, and the offset. `steps` (64,): the component's quantization table.
    """
    changed = plane.changed
    changed &= over.laid
    # The weight takes the place of the 1 that an offset is multiplied by: paint is premultiplied by it.
    shown = _blocks(_mixed(over.paint, shares), BLOCK)[changed]
    partly = changed & over.shows
    if partly.any():
        below = _below(plane.blocks, plane.there & ~over.hidden, partly, steps)
        below *= 1 - _blocks(over.paint[-1], BLOCK)[partly]
        shown[partly[changed]] += below
    plane.blocks[changed] = quantized(shown, steps)


def _below(read: Coefficients, known: Bools, wanted: Bools, steps: Float32) -> Float32:
    """Samples of the blocks that are `wanted`, (n, 8, 8): what they hold where they are `known`, else what is around.

    `read` (h, w, 64): the blocks as they were; at those that are not known nothing is looked at.
    """
    below = np.empty((np.count_nonzero(wanted), BLOCK, BLOCK), np.float32)
    seen, unknown = known[wanted], wanted & ~known
    below[seen] = samples(read[wanted & known], steps)
    if unknown.any():
        near = known & cv2.dilate(unknown.astype(np.uint8), NEAR).astype(np.bool_)
        means = np.zeros((known.shape[0] * HALVED, known.shape[1] * HALVED), np.float32)
        _blocks(means, HALVED)[near] = halved_samples(read[near], steps)
        below[~seen] = filled(means, near, unknown)
    return below


def _mixed(planes: Float32, shares: Float32) -> Float32:
    """The sum of `planes` (n, h, w), each times its share; not by BLAS, whose threads cost more than they give here."""
    mixed: Float32 = planes[0] * shares[0]
    for plane, share in zip(planes[1:], shares[1:], strict=True):
        if share:
            mixed += plane * share
    return mixed


def _reduced(full: Float32, scale: tuple[int, int]) -> Float32:
    """The means of `full` (C, h, w) over cells of `scale` = w, h pixels."""
    if scale == (1, 1):
        return full
    _, height, width = full.shape
    size = (width // scale[0], height // scale[1])
    return np.stack([cast(Float32, cv2.resize(plane, size, interpolation=cv2.INTER_AREA)) for plane in full])


def _any(flags: Bools, high: int, wide: int) -> Bools:
    """Whether any of `flags` is set in each cell of `high` × `wide`, a multiple of 8."""
    rows, columns = flags.shape[0] // high, flags.shape[1] // wide
    # Eight flags at a time, and the outer axis first: that reads memory as it lies.
    eights = np.ascontiguousarray(flags).view(np.uint64)
    down = np.bitwise_or.reduce(eights.reshape(rows, high, -1), axis=1)
    both: Bools = np.logical_or.reduce(down.reshape(rows, columns, -1), axis=2)
    return both


def _blocks(plane: Float32, side: int) -> Float32:
    """A view of `plane` (h × side, w × side) as (h, w, side, side)."""
    return plane.reshape(plane.shape[0] // side, side, -1, side).swapaxes(1, 2)
