"""Finished plates: a style's drawing with frame, screws and holder."""

import cv2
import numpy as np

from training import ink, styles_arabic, styles_asian, styles_latin
from training.fonts import Fonts
from training.ink import Pixels
from training.styles import Catalog

STYLES = (*styles_latin.STYLES, *styles_asian.STYLES, *styles_arabic.STYLES)


class Plates:
    """Plates of the whole world, as far as there are fonts for them."""

    def __init__(self, fonts: Fonts) -> None:
        self._fonts = fonts
        self.catalog = Catalog(STYLES, fonts)

    def draw(self, rng: np.random.Generator) -> Pixels:
        """A random plate, seen from the front: (h, w, 3) uint8, BGR."""
        canvas = self.catalog.draw(rng)
        height, width = canvas.shape[:2]
        if rng.random() < 0.55:
            color = ((20, 20, 20), (120, 120, 120), (160, 60, 20))[rng.choice(3, p=[0.6, 0.2, 0.2])]
            cv2.rectangle(canvas, (1, 1), (width - 2, height - 2), color, int(rng.integers(1, 4)))
        if rng.random() < 0.35:
            for x in (0.07, 0.93):
                for y in (0.5,) if width > 3 * height else (0.08, 0.92):
                    shine = int(rng.choice([30, 90, 200]))
                    cv2.circle(canvas, (int(x * width), int(y * height)), max(2, height // 26), (shine,) * 3, -1)
        return self._held(canvas, rng) if rng.random() < 0.25 else canvas

    def _held(self, canvas: Pixels, rng: np.random.Generator) -> Pixels:
        """In a holder, sometimes with the dealer's name below."""
        rim = int(rng.integers(2, 8))
        foot = rim + (int(rng.integers(4, 15)) if rng.random() < 0.5 else 0)
        color = (int(rng.choice([15, 25, 40, 200])),) * 3
        held = np.asarray(cv2.copyMakeBorder(canvas, rim, foot, rim, rim, cv2.BORDER_CONSTANT, value=color), np.uint8)
        if foot > rim + 6:
            name = str(rng.choice(["autohaus", "www.motors.de", "TOYOTA", "Ford of Dallas", "AUTO SALON"]))
            box = (0.25, 1 - foot / held.shape[0] + 0.01, 0.75, 0.995)
            ink.write(held, self._fonts.pick("latin", rng).line(name), box, (200, 200, 200), rng, stretch=(0.8, 1.0))
        return held
