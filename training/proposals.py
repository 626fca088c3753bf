"""What the first stage proposes on training crops, cut out as the graph does it, for the second stage to learn from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from service.models.platenet import DISTANCES, IMAGE, SCORE, SOURCE
from service.models.second_stage import AROUND_X, AROUND_Y, HEIGHT, SAMPLES_X, SAMPLES_Y, WIDTH
from training.ink import Pixels
from training.photographs import Boxes, boxes
from training.samples import Samples
from training.targets import STRIDE

LEAST = 0.08
"""Proposals of a lower score are left out; the graph looks at none below `service.models.second_stage.LEAST`."""
BEST, FURTHER = 10, 4
"""Of each crop: so many proposals of the highest scores, and so many of the others."""
LEAST_HEIGHT = 5.0
DRAWN = -1.0
"""Score of a box that is drawn around a plate and not proposed."""


@dataclass(frozen=True)
class Proposals:
    """n places. `pixels`: uint8 (n, HEIGHT, WIDTH, 3), RGB. All else float32.

    `score` (n,): of the first stage, or DRAWN. `overlap` (n,): IoU with the nearest plate; `unclear` (n,): with what
    nobody is to learn from, or the share of the box in it. `offsets` (n, 4): of that plate's sides from the box's, in
    its widths and heights. `sides` (n, 2): the box's width and height in pixels of the crop.
    """

    pixels: NDArray[np.uint8]
    score: NDArray[np.float32]
    overlap: NDArray[np.float32]
    unclear: NDArray[np.float32]
    offsets: NDArray[np.float32]
    sides: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.score)


class FirstStage:
    """The network that proposes, as a released model has it, on one thread, over crops of any size.

    `folder`: a model's, in which it lies at `service.models.platenet.SOURCE`.
    """

    def __init__(self, folder: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._network = ort.InferenceSession(str(folder / SOURCE), options, providers=["CPUExecutionProvider"])

    def propose(self, crop: Pixels) -> tuple[Boxes, NDArray[np.float32]]:
        """Boxes (n, 4) and scores (n,) at the peaks of the score map of `crop` (h, w, 3) BGR, highest first."""
        image = crop[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        answer = self._network.run([SCORE, DISTANCES], {IMAGE: image})
        heat, distances = np.asarray(answer[0])[0, 0], np.asarray(answer[1])[0]
        peaks = (heat == cv2.dilate(heat, np.ones((3, 3), np.uint8))) & (heat > LEAST)
        rows, columns = np.nonzero(peaks)
        order = np.argsort(-heat[rows, columns], kind="stable")
        rows, columns = rows[order], columns[order]
        left, top, right, bottom = distances[:, rows, columns]
        x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
        return np.stack([x - left, y - top, x + right, y + bottom], 1).astype(np.float32), heat[rows, columns]


def patch(crop: Pixels, box: Boxes) -> Pixels:
    """What the graph cuts out around `box` (4,): (HEIGHT, WIDTH, 3), the crop's colors, zeros outside it."""
    width, height = box[2] - box[0], box[3] - box[1]
    step_x, step_y = width * AROUND_X / SAMPLES_X, height * AROUND_Y / SAMPLES_Y
    left = (box[0] + box[2]) / 2 - width * AROUND_X / 2
    top = (box[1] + box[3]) / 2 - height * AROUND_Y / 2
    matrix = np.array([[step_x, 0, left + step_x / 2 - 0.5], [0, step_y, top + step_y / 2 - 0.5]])
    samples = cv2.warpAffine(crop, matrix, (SAMPLES_X, SAMPLES_Y), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(cv2.resize(samples, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def collect(samples: Samples, first: FirstStage, rng: np.random.Generator) -> Iterator[Proposals]:
    """Endless: the places of one crop after the other."""
    while True:
        crop, plates, ignore = samples.next()
        proposed, score = first.propose(crop)
        chosen = np.arange(len(score))
        if len(chosen) > BEST + FURTHER:
            chosen = np.concatenate([chosen[:BEST], rng.choice(chosen[BEST:], FURTHER, replace=False)])
        drawn = boxes(_around(plate, rng) for plate in plates if plate[3] - plate[1] >= LEAST_HEIGHT)
        places = np.concatenate([proposed[chosen], drawn])
        scores = np.concatenate([score[chosen], np.full(len(drawn), DRAWN, np.float32)])
        large = (places[:, 2:] - places[:, :2] >= 2).all(1)
        if large.any():
            yield _labeled(crop, places[large], scores[large], boxes(plates), boxes(ignore))


def _around(plate: list[float], rng: np.random.Generator) -> list[float]:
    """A box about where a plate is, as far off as proposals are."""
    x1, y1, x2, y2 = plate
    width, height = np.array([x2 - x1, y2 - y1]) * np.exp(rng.normal(0, 0.2, 2))
    x, y = (x1 + x2) / 2 + rng.normal(0, 0.12) * (x2 - x1), (y1 + y2) / 2 + rng.normal(0, 0.12) * (y2 - y1)
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def _labeled(crop: Pixels, places: Boxes, score: NDArray[np.float32], plates: Boxes, ignore: Boxes) -> Proposals:
    sides = places[:, 2:] - places[:, :2]
    overlap, offsets = np.zeros(len(places), np.float32), np.zeros((len(places), 4), np.float32)
    if len(plates):
        iou, _ = _overlaps(places, plates)
        nearest, overlap = plates[iou.argmax(1)], iou.max(1)
        offsets = (nearest - places) / np.tile(sides, 2)
    unclear = np.zeros(len(places), np.float32)
    if len(ignore):
        iou, inside = _overlaps(places, ignore)
        unclear = np.maximum(iou, inside).max(1)
    pixels = np.stack([patch(crop, place)[..., ::-1] for place in places])
    return Proposals(pixels, score, overlap, unclear, offsets, sides)


def _overlaps(places: Boxes, others: Boxes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each place with each of `others`, (n, m): IoU, and the share of the place in it."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    own = (places[:, 2:] - places[:, :2]).prod(-1)[:, None]
    theirs = (others[:, 2:] - others[:, :2]).prod(-1)[None]
    return common / (own + theirs - common), common / own
