"""Recognizing masked faces among a hundred known ones.

The faces are the hundred of Labeled Faces in the Wild that scikit-image ships (25 × 25 pixels, one photograph each),
enlarged and set into a gray picture. The attacker owns a photograph of each, and obscures all of them the same way to
compare (parrot recognition, McPherson et al., 2016): the same photograph, or another one, which is simulated by other
light, framing and turn. He compares what is seen, brought to the same mean and contrast, with each, and names the
nearest. `recognition.py` has a trained network do it.
"""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from benchmarks.attack.views import Box, Gray, Seen

FACES = 100
SIDE, MARGIN = 176, 168
"""Pixels. The masked ellipse is a little less than two cells of 128 pixels wide."""

SIZE = (SIDE + 2 * MARGIN, SIDE + 2 * MARGIN)
BOX: Box = (MARGIN + 18, MARGIN + 5, MARGIN + SIDE - 18, MARGIN + SIDE - 5)
"""The face itself, as a detector boxes it: the photographs are crops around it."""

CHANCE = 1 / FACES

Other = Callable[[Gray, np.random.Generator], Gray]


@cache
def portraits() -> tuple[Gray, ...]:
    """A hundred pictures of SIZE, a face in the middle of each."""
    faces = data.lfw_subset()[:FACES]
    return tuple(
        _framed(cv2.resize(each.astype(np.float32) * 255, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
        for each in faces
    )


def _framed(face: npt.NDArray[np.float32]) -> Gray:
    """Only the face itself, before gray: hair and background show beside a mask anyway, whatever it hides."""
    canvas = np.full((SIZE[1], SIZE[0]), 110, np.float32)
    canvas[MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE] = face
    oval = np.zeros((SIZE[1], SIZE[0]), np.float32)
    center = (SIZE[0] // 2, SIZE[1] // 2)
    axes = (round((BOX[2] - BOX[0]) / 2), round((BOX[3] - BOX[1]) / 2))
    cv2.ellipse(oval, center, axes, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    return np.clip(np.rint(110 + oval * (canvas - 110)), 0, 255).astype(np.uint8)


def same(picture: Gray, _: np.random.Generator) -> Gray:
    """The very photograph that was masked: the attacker needs nothing of it any more, and only links the two."""
    return picture


def another(picture: Gray, rng: np.random.Generator) -> Gray:
    """What a second photograph of the same face might look like: ± 8° turned, ± 8 % nearer, ± 6 % off, other light."""
    center = (SIZE[0] / 2, SIZE[1] / 2)
    move = cv2.getRotationMatrix2D(center, rng.uniform(-8, 8), rng.uniform(0.92, 1.08))
    move[:, 2] += rng.uniform(-0.06, 0.06, 2) * SIDE
    moved = cv2.warpAffine(picture.astype(np.float32), move, SIZE, borderMode=cv2.BORDER_REFLECT)
    across, down = np.meshgrid(np.linspace(-1, 1, SIZE[0]), np.linspace(-1, 1, SIZE[1]))
    lit = moved * rng.uniform(0.8, 1.2) * (1 + rng.uniform(-0.3, 0.3) * across + rng.uniform(-0.2, 0.2) * down)
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def recognized(view: Seen, owned: Other, rng: np.random.Generator, rounds: int = 1) -> float:
    """Share of the masked faces that are named rightly."""
    right = 0
    for _ in range(rounds):
        gallery = _normalized(np.array([view.predict(owned(each, rng)) for each in portraits()]))
        seen = _normalized(np.array([view.observe(each, rng.bytes(16)) for each in portraits()]))
        distance = np.linalg.norm(seen[:, None] - gallery[None], axis=2)
        # Where nothing is seen all are equally near; then the attacker guesses.
        distance += rng.uniform(0, 1e-9, distance.shape)
        right += int((distance.argmin(axis=1) == np.arange(FACES)).sum())
    return right / (FACES * rounds)


def _normalized(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    centered = vectors - vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centered, axis=1, keepdims=True)
    return np.asarray(np.divide(centered, length, out=np.zeros_like(centered), where=length > 1e-6))
