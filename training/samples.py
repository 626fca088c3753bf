"""The stream of training crops: real plates, synthetic plates on real photographs, and what only looks like one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training import crops
from training.fonts import Fonts
from training.ink import Pixels
from training.photographs import Photographs
from training.plates import Plates
from training.rendering import paste, seen_from
from training.signs import Signs, near
from training.targets import clip, target

Rows = list[list[float]]

Scorer = Callable[[Pixels], NDArray[np.float32]]
"""Of a crop (s, s, 3) BGR: the score of each cell (s/4, s/4)."""

REDRAWN = 0.125
"""Share of single crops after which there are a new plate and a new sign to draw from."""


@dataclass(frozen=True)
class Mixture:
    """Shares of the stream, and the sides of its crops in pixels (a batch has one side, multiple of 32)."""

    mined: float = 0.22
    """Crops around a known lookalike."""
    real: float = 0.47
    """Crops with their real plates; what is left shows synthetic ones."""
    bare: float = 0.14
    """Share of erased plates that get no other in their place."""
    sides: tuple[int, ...] = (320, 320, 320, 416)

    def with_synthetic(self, share: float) -> "Mixture":
        """The same with this share of crops with synthetic plates; the others keep their proportion."""
        rest = (1 - share) / (self.mined + self.real)
        return replace(self, mined=self.mined * rest, real=self.real * rest)


@dataclass(frozen=True)
class Batch:
    """n crops: `pixels` uint8 (n, s, s, 3) BGR; the parts of `targets.Target`, stacked."""

    pixels: NDArray[np.uint8]
    heat: NDArray[np.uint8]
    distances: NDArray[np.float16]
    weight: NDArray[np.float16]
    taught: NDArray[np.float16] | None = None
    """(n, s/4, s/4): what a teacher says of each cell, 0 to 1."""


class Samples:
    """Endless batches from one seed; the same seed and photographs give the same batches."""

    def __init__(
        self, photographs: Photographs, fonts: Fonts, seed: int, mixture: Mixture | None = None, textures: int = 1500
    ) -> None:
        self._photographs, self._mixture = photographs, mixture or Mixture()
        if not photographs.lookalikes:
            self._mixture = replace(self._mixture, mined=0.0)
        self._rng = np.random.default_rng(seed)
        self._plates, self._signs = Plates(fonts), Signs(fonts)
        self._drawn = [self._plates.draw(self._rng) for _ in range(textures)]
        self._panels = [self._signs.panel(self._rng) for _ in range(max(1, textures // 3))]

    def batch(self, pixels: int, teacher: Scorer | None = None) -> Batch:
        """The next batch, of about `pixels` pixels altogether, and what `teacher` says of it."""
        side = int(self._rng.choice(self._mixture.sides))
        found = [self.sample(side) for _ in range(max(1, round(pixels / side**2)))]
        targets = [target(plates, ignore, side) for _, plates, ignore in found]
        self._redraw(8)
        return Batch(
            np.stack([image for image, _, _ in found]),
            np.stack([each.heat for each in targets]),
            np.stack([each.distances for each in targets]),
            np.stack([each.weight for each in targets]),
            None if teacher is None else np.stack([teacher(image) for image, _, _ in found]).astype(np.float16),
        )

    def next(self) -> tuple[Pixels, Rows, Rows]:
        """As `sample`, of one of the mixture's sides."""
        self._redraw(int(self._rng.random() < REDRAWN))
        return self.sample(int(self._rng.choice(self._mixture.sides)))

    def _redraw(self, plates: int) -> None:
        """Puts so many new plates, and a new sign, in the place of old ones."""
        for _ in range(plates):
            self._drawn[self._rng.integers(len(self._drawn))] = self._plates.draw(self._rng)
        if plates:
            self._panels[self._rng.integers(len(self._panels))] = self._signs.panel(self._rng)

    def sample(self, side: int) -> tuple[Pixels, Rows, Rows]:
        """One crop with its plates and its regions to ignore."""
        kind = self._rng.random()
        if kind < self._mixture.mined:
            image, plates, ignore = self._lookalike(side)
        elif kind < self._mixture.mined + self._mixture.real:
            image, plates, ignore = self._real(side)
        else:
            image, plates, ignore = self._synthetic(side)
        return crops.photograph(image, self._rng), plates, ignore

    def _cut(self, side: int, chance: float) -> crops.Crop:
        pool = self._photographs.with_plates
        at = pool[self._rng.integers(len(pool))] if pool else int(self._rng.integers(len(self._photographs)))
        picture, labels = self._photographs[at]
        around = labels.plates if self._rng.random() < chance else None
        return crops.cut(picture, labels, around, side, self._rng)

    def _labels(self, crop: crops.Crop, side: int) -> tuple[Rows, Rows]:
        plates, ignore = clip(crop.plates.tolist(), side)
        return plates, ignore + _within(crop.unclear.tolist(), side)

    def _lookalike(self, side: int) -> tuple[Pixels, Rows, Rows]:
        at, k = self._photographs.lookalikes[self._rng.integers(len(self._photographs.lookalikes))]
        picture, labels = self._photographs[at]
        crop = crops.cut(picture, labels, labels.lookalikes[k : k + 1], side, self._rng)
        return crop.pixels, *self._labels(crop, side)

    def _real(self, side: int) -> tuple[Pixels, Rows, Rows]:
        crop = self._cut(side, 0.88)
        plates, ignore = self._labels(crop, side)
        if self._rng.random() < 0.25:
            self._signs.scatter(crop.pixels, self._panels, plates + ignore, self._rng)
        return crop.pixels, plates, ignore

    def _synthetic(self, side: int) -> tuple[Pixels, Rows, Rows]:
        rng, crop = self._rng, self._cut(side, 0.85)
        image = crop.pixels
        plates: Rows = []
        ignore = _within(crop.unclear.tolist(), side)
        for box in crop.plates:
            x1, y1, x2, y2 = (float(each) for each in box)
            if x2 <= 0 or y2 <= 0 or x1 >= side or y1 >= side:
                continue
            if y2 - y1 < 4:
                ignore += _within([[x1, y1, x2, y2]], side)
                continue
            crops.erase(image, box, rng)
            if rng.random() >= self._mixture.bare:
                texture = self._texture()
                aspect = texture.shape[1] / texture.shape[0]
                height = np.sqrt((x2 - x1) * (y2 - y1) / aspect) * rng.uniform(0.8, 1.2)
                self._place(image, texture, (x1 + x2) / 2, (y1 + y2) / 2, height, plates, ignore)
        if rng.random() < 0.5:
            self._signs.scatter(image, self._panels, plates + ignore, self._rng)
        for _ in range(int(rng.choice(4, p=[0.4, 0.3, 0.2, 0.1]))):
            texture = self._texture()
            aspect = texture.shape[1] / texture.shape[0]
            height = min(np.exp(rng.uniform(np.log(6.5), np.log(0.28 * side))), 0.8 * side / aspect)
            x, y = rng.uniform(0, side), rng.uniform(0.15 * side, side)
            if not near(x, y, height * aspect, height, plates + ignore):
                self._place(image, texture, x, y, height, plates, ignore)
        return image, plates, ignore

    def _texture(self) -> Pixels:
        return self._drawn[self._rng.integers(len(self._drawn))]

    def _place(
        self, image: Pixels, texture: Pixels, x: float, y: float, height: float, plates: Rows, ignore: Rows
    ) -> None:
        quad = seen_from(x, y, height, texture.shape[1] / texture.shape[0], self._rng)
        box = paste(image, texture, quad, self._rng)
        if box is not None:
            kept, little = clip([box], image.shape[0])
            plates += kept
            ignore += little


def _within(rows: Sequence[Sequence[float]], side: int) -> Rows:
    """What of `rows` lies in the crop, however little."""
    whole, little = clip(rows, side)
    return whole + little
