"""Crops of tiles and where in them something is to be seen: what a step of the gate's training learns from."""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from training.gate.tiles import STRIDE, Tile
from training.photographs import Boxes

CROP = 512
"""Side of the crops that are learned from, in pixels."""
CELLS = CROP // STRIDE
NOTHING = 0.6
"""Share of a class's threshold below which a box counts as nothing; up to `SOMETHING` nobody is to learn from it. What
the plate detector's second stage does not look at lies below it, and never comes over the threshold."""
SOMETHING = 0.75
"""Share of the threshold from which a box is to be let through."""
CENTRAL = 0.5
"""Share of a box's sides within which its cells are neither one nor the other, but for the middle one."""


def heat_of(boxes: Boxes, scores: NDArray[np.float32], threshold: float, cells: int) -> NDArray[np.float32]:
    """(cells, cells) of a crop: 1 in the middle of each box to be let through, -1 where it may be either, else 0.

    `boxes`: (n, 4) in pixels of the crop; those whose middle lies outside count as doubtful.
    """
    heat = np.zeros((cells, cells), np.float32)
    known = scores >= NOTHING * threshold
    for x1, y1, x2, y2 in boxes[known] / STRIDE:
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        half_x, half_y = max(0.75, CENTRAL / 2 * (x2 - x1)), max(0.75, CENTRAL / 2 * (y2 - y1))
        left, top = max(0, math.floor(x - half_x)), max(0, math.floor(y - half_y))
        heat[top : max(0, math.ceil(y + half_y)), left : max(0, math.ceil(x + half_x))] = -1
    for x1, y1, x2, y2 in boxes[scores >= SOMETHING * threshold] / STRIDE:
        x, y = math.floor((x1 + x2) / 2), math.floor((y1 + y2) / 2)
        if 0 <= x < cells and 0 <= y < cells:
            heat[y, x] = 1
    return heat


def batches(
    tiles: Sequence[Tile], thresholds: Mapping[str, float], count: int, seed: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Endless; one batch is made while another is learned from."""
    rng = np.random.default_rng(seed)

    def batch() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        drawn = [_crop(tiles[int(k)], thresholds, rng) for k in rng.integers(0, len(tiles), count)]
        return np.stack([pixels for pixels, _ in drawn]), np.stack([heat for _, heat in drawn])

    with ThreadPoolExecutor(1) as beside:
        ahead = beside.submit(batch)
        while True:
            made = ahead.result()
            ahead = beside.submit(batch)
            yield made


def _crop(
    tile: Tile, thresholds: Mapping[str, float], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A crop (CROP, CROP, 3) of `tile` in another light, perhaps mirrored, and its heat (classes, CELLS, CELLS)."""
    pixels = tile.pixels()
    side = len(pixels)
    x, y = (int(v) for v in rng.integers(0, side - CROP + 1, 2))
    mirrored = rng.random() < 0.5
    crop = pixels[y : y + CROP, x : x + CROP]
    heat = []
    for name, threshold in thresholds.items():
        boxes, scores = tile.found[name]
        moved = boxes - np.array([x, y, x, y], np.float32)
        if mirrored:
            moved = np.stack([CROP - moved[:, 2], moved[:, 1], CROP - moved[:, 0], moved[:, 3]], 1)
        heat.append(heat_of(moved, scores, threshold, CELLS))
    if mirrored:
        crop = crop[:, ::-1]
    gain, shift = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3), rng.uniform(-20, 20)
    lit = cv2.LUT(
        np.ascontiguousarray(crop),
        np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8).reshape(1, 256, 3),
    )
    return np.asarray(lit, np.uint8), np.stack(heat)
