"""Reading plates by comparing with templates ("parrot" attack; Hill et al., PETS 2016; McPherson et al., 2016).

The attacker knows font, size, place and the operator, and looks for the text whose rendering explains best what he
sees: least squares over all characters together, by their Gram matrix, from many starts, single characters and
neighboring pairs at a time until nothing changes.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.attack.views import Box, Gray, Seen, Vectors

ALPHABET = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
LENGTH = 7
PITCH, HEIGHT, LEFT, TOP = 29, 46, 160, 160
"""Pixels. The masked box is a little less than four cells of 64 pixels long: as many as there are."""

SIZE = (PITCH * LENGTH + 2 * LEFT, HEIGHT + 2 * TOP)
"""Width and height of the picture around the plate."""

CHANCE = 1 / len(ALPHABET)
STARTS, SWEEPS = 24, 10

Texts = npt.NDArray[np.int64]


def box(height: float = HEIGHT) -> Box:
    """The plate, as an exact detector would box it."""
    return (LEFT, TOP, LEFT + PITCH * LENGTH, TOP + height)


def picture(text: Sequence[int]) -> Gray:
    """(h, w) uint8: dark characters on a light plate on a gray car; -1 leaves a place empty."""
    canvas = np.full((SIZE[1], SIZE[0]), 90, np.uint8)
    canvas[TOP : TOP + HEIGHT, LEFT : LEFT + PITCH * LENGTH] = 230
    for i, character in enumerate(text):
        if character >= 0:
            place = (LEFT + i * PITCH + 2, TOP + 39)
            cv2.putText(canvas, ALPHABET[character], place, cv2.FONT_HERSHEY_SIMPLEX, 1.38, 30, 4, cv2.LINE_AA)
    return canvas


def photographed(text: Sequence[int], rng: np.random.Generator, *, shift: float, light: float) -> Gray:
    """`picture(text)`, by up to `shift` pixels and a gradient of `light` off what the attacker assumes, with noise."""
    clean = picture(text).astype(np.float32)
    move = np.array([[1, 0, rng.uniform(-shift, shift)], [0, 1, rng.uniform(-shift, shift)]], np.float32)
    moved = cv2.warpAffine(clean, move, SIZE, borderMode=cv2.BORDER_REPLICATE)
    lit = moved * (1 + rng.uniform(-light, light) * np.linspace(-1, 1, SIZE[0], dtype=np.float32))
    return np.clip(np.rint(lit + rng.normal(0, 2, lit.shape)), 0, 255).astype(np.uint8)


def read(seen: Vectors, view: Seen, rng: np.random.Generator) -> Texts:
    """The texts that explain `seen` (n, values) best: (n, LENGTH)."""
    k = len(ALPHABET)
    empty = view.predict(picture([-1] * LENGTH))
    glyphs = np.array(
        [
            view.predict(picture([-1] * i + [c] + [-1] * (LENGTH - 1 - i))) - empty
            for i in range(LENGTH)
            for c in range(k)
        ]
    )
    gram = (glyphs @ glyphs.T).reshape(LENGTH, k, LENGTH, k)
    match = ((seen - empty) @ glyphs.T).reshape(len(seen), 1, LENGTH, k)
    own = np.stack([np.diagonal(gram[i, :, i, :]) for i in range(LENGTH)])
    guess = rng.integers(0, k, (len(seen), STARTS, LENGTH))
    places = np.arange(LENGTH)

    def cost(i: int, without: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Of each character at place i, next to the guessed others: (n, STARTS, k)."""
        found = own[i] - 2 * match[:, :, i]
        for j in places:
            if j not in without:
                found = found + 2 * gram[i][:, j][:, guess[:, :, j]].transpose(1, 2, 0)
        return np.asarray(found)

    for _ in range(SWEEPS):
        before = guess.copy()
        for i in places:
            guess[:, :, i] = cost(i, (i,)).argmin(axis=2)
        for i in places[:-1]:
            pair = cost(i, (i, i + 1))[:, :, :, None] + cost(i + 1, (i, i + 1))[:, :, None] + 2 * gram[i, :, i + 1]
            best = pair.reshape(*pair.shape[:2], -1).argmin(axis=2)
            guess[:, :, i], guess[:, :, i + 1] = best // k, best % k
        if (before == guess).all():
            break
    total = np.zeros(guess.shape[:2])
    for i in places:
        each = cost(i, tuple(places[i:]))
        total += np.take_along_axis(each, guess[:, :, i][:, :, None], axis=2)[:, :, 0]
    # Among equally good ones the first start wins, which is as good as any.
    return np.asarray(guess[np.arange(len(seen)), total.argmin(axis=1)])


def recovered(
    view: Seen, count: int, rng: np.random.Generator, *, shift: float = 0.0, light: float = 0.0
) -> tuple[float, float]:
    """Share of characters and of whole plates that are read from `view` of `count` random plates."""
    texts = rng.integers(0, len(ALPHABET), (count, LENGTH))
    seen = np.array([view.observe(photographed(t, rng, shift=shift, light=light), rng.bytes(16)) for t in texts])
    right = read(seen, view, rng) == texts
    return float(right.mean()), float(right.all(axis=1).mean())
