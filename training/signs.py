"""What is not a plate: shop signs, posters, road signs, grilles, badges, and lettering without a panel."""

from collections.abc import Sequence

import cv2
import numpy as np

from training import ink
from training.fonts import Fonts, Mask
from training.ink import Color, Pixels
from training.rendering import paste, rectangle, seen_from
from training.styles import spell

WORDS: tuple[str, ...] = (
    "open", "sale", "pizza", "hotel", "parking", "taxi", "bank", "coffee", "market", "school", "police", "restaurant",
    "cafe", "shop", "free", "exit", "stop", "slow", "bus", "city", "street", "avenue", "auto", "service", "center",
    "world", "music", "theater", "books", "bar", "grill", "kebab", "fresh", "fashion", "repair",
)  # fmt: skip
BADGES: tuple[str, ...] = (
    "TOYOTA", "Renault", "SKODA", "HONDA", "FORD", "Transit", "Astra", "quattro", "hybrid", "TDI", "4x4", "SCANIA",
    "VOLVO", "Sprinter", "YAMAHA", "SUZUKI", "KAWASAKI", "POLICE", "AMBULANCE", "POLIZEI", "FIRE", "DHL", "TAXI",
)  # fmt: skip


class Signs:
    """Draws distractors; `panel` for ones with a ground of their own, `paint` for letters straight on a surface."""

    def __init__(self, fonts: Fonts) -> None:
        self._fonts = fonts
        self._kinds = (self._shop, self._poster, self._round, self._grille, self._blank, self._direction, self._badge)

    def panel(self, rng: np.random.Generator) -> Pixels:
        """A random sign, seen from the front."""
        return self._kinds[rng.integers(len(self._kinds))](rng)

    def paint(self, picture: Pixels, x: float, y: float, height: float, rng: np.random.Generator) -> None:
        """Letters of `height` pixels around (x, y), straight on what `picture` shows there; in place."""
        mask = self._lettering(rng)
        rows, columns = mask.shape
        quad = seen_from(x, y, height, columns / rows, rng)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.3, rows / max(height, 1) * 0.45))
        view = cv2.getPerspectiveTransform(rectangle(columns, rows), quad)
        share = cv2.warpPerspective(soft, view, (picture.shape[1], picture.shape[0]))
        strength = (np.asarray(share, np.float32) / 255 * rng.uniform(0.6, 1))[..., None]
        color = np.array(_lettering_color(rng), np.float32) * rng.uniform(0.5, 1.05)
        picture[:] = np.clip(picture * (1 - strength) + color * strength, 0, 255).astype(np.uint8)

    def scatter(
        self, picture: Pixels, panels: Sequence[Pixels], busy: Sequence[Sequence[float]], rng: np.random.Generator
    ) -> None:
        """Lettering, and some of `panels`, at random places of `picture` that are not near `busy` boxes; in place."""
        side = picture.shape[0]
        for _ in range(int(rng.integers(0, 4))):
            x, y, height = rng.uniform(0, side), rng.uniform(0, side), float(np.exp(rng.uniform(np.log(6), np.log(60))))
            if not near(x, y, height * 12, height * 3, busy):
                self.paint(picture, x, y, height, rng)
        for _ in range(int(rng.integers(1, 3))):
            panel = panels[int(rng.integers(len(panels)))]
            aspect = panel.shape[1] / panel.shape[0]
            height = float(np.exp(rng.uniform(np.log(8), np.log(130)))) / max(1.0, aspect**0.3)
            x, y = rng.uniform(0, side), rng.uniform(0, 0.8 * side)
            if not near(x, y, height * aspect, height, busy):
                paste(picture, panel, seen_from(x, y, height, aspect, rng), rng)

    def _text(self, rng: np.random.Generator, most: int = 3) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(1, most + 1)))

    def _mask(self, text: str, rng: np.random.Generator, spacing: int = 0) -> Mask:
        return self._fonts.pick("serif" if rng.random() < 0.25 else "latin", rng).line(text, spacing)

    def _lettering(self, rng: np.random.Generator) -> Mask:
        kind = rng.random()
        if kind < 0.3:
            text = str(rng.choice(WORDS)).upper()
        elif kind < 0.5:
            text = self._text(rng).title()
        elif kind < 0.65:
            text = "".join(rng.choice(WORDS, 2)) + str(rng.choice([".com", ".de", ".co.uk", ".fr", ".net"]))
        elif kind < 0.77:
            text = spell(str(rng.choice(["0ddd ddd ddd", "+dd dd ddddddd", "(ddd) ddd-dddd", "0ddd-ddddddd"])), rng)
        elif kind < 0.92:
            text = str(rng.choice(BADGES))
        else:
            text = spell(str(rng.choice(["dd", "ddd", "ld", "d", "ldd"])), rng)
        return self._mask(text, rng, int(rng.integers(0, 6)))

    def _shop(self, rng: np.random.Generator) -> Pixels:
        canvas = ink.panel(rng.uniform(5, 11), ink.any_color(rng), 60)
        text = self._text(rng).title() if rng.random() < 0.5 else self._text(rng, 2)
        ink.write(canvas, self._mask(text, rng), (0.05, 0.2, 0.95, 0.8), ink.any_color(rng), rng, stretch=(0.75, 1.05))
        return canvas

    def _poster(self, rng: np.random.Generator) -> Pixels:
        canvas, color = ink.panel(rng.uniform(0.6, 1.8), ink.any_color(rng), 130), ink.any_color(rng)
        rows = int(rng.integers(3, 9))
        for row in range(rows):
            box = (0.06, (row + 0.1) / rows, 0.94, (row + 0.85) / rows)
            ink.write(canvas, self._mask(self._text(rng, 4), rng), box, color, rng, stretch=(0.75, 1.05))
        return canvas

    def _round(self, rng: np.random.Generator) -> Pixels:
        canvas = ink.panel(1, ink.gray(rng), 100)
        cv2.circle(canvas, (50, 50), 48, (30, 30, 200), -1)
        cv2.circle(canvas, (50, 50), 37, (240, 240, 240), -1)
        text = str(rng.choice(["30", "50", "80", "100", "STOP"]))
        ink.write(canvas, self._mask(text, rng), (0.25, 0.3, 0.75, 0.7), (10, 10, 10), rng, stretch=(0.8, 1.0))
        return canvas

    def _grille(self, rng: np.random.Generator) -> Pixels:
        canvas, color = ink.panel(rng.uniform(0.5, 4), ink.any_color(rng), 100), np.array(ink.any_color(rng))
        rows, columns = int(rng.integers(1, 7)), int(rng.integers(1, 9))
        for row in range(rows):
            for column in range(columns):
                box = ((column + 0.12) / columns, (row + 0.12) / rows, (column + 0.88) / columns, (row + 0.88) / rows)
                darker = np.clip(color - rng.integers(0, 61, 3), 0, 255)
                ink.fill(canvas, box, (int(darker[0]), int(darker[1]), int(darker[2])))
        return canvas

    def _blank(self, rng: np.random.Generator) -> Pixels:
        canvas = ink.panel(rng.uniform(1, 6), ink.any_color(rng), 60)
        if rng.random() < 0.5:
            ink.shade(canvas, ink.any_color(rng), down=True)
        if rng.random() < 0.5:
            cv2.rectangle(canvas, (2, 2), (canvas.shape[1] - 3, 57), ink.any_color(rng), 3)
        return canvas

    def _direction(self, rng: np.random.Generator) -> Pixels:
        ground = (ink.green, ink.blue, ink.white)[rng.integers(3)](rng)
        canvas = ink.panel(rng.uniform(1.5, 4), ground, 90)
        color = ink.white(rng) if sum(ground) < 450 else ink.black(rng)
        width = canvas.shape[1]
        cv2.arrowedLine(canvas, (int(0.9 * width), 72), (int(0.9 * width), 18), color, 4, tipLength=0.4)
        for top, bottom in ((0.12, 0.46), (0.54, 0.88)):
            mask = self._mask(str(rng.choice(WORDS)).title(), rng)
            ink.write(canvas, mask, (0.05, top, 0.75, bottom), color, rng, stretch=(0.9, 1.0))
        return canvas

    def _badge(self, rng: np.random.Generator) -> Pixels:
        canvas = ink.panel(rng.uniform(4, 8), ink.any_color(rng), 40)
        mask = self._mask(str(rng.choice(BADGES)), rng)
        ink.write(canvas, mask, (0.1, 0.25, 0.9, 0.75), ink.any_color(rng), rng, stretch=(0.75, 1.05))
        return canvas


def _lettering_color(rng: np.random.Generator) -> Color:
    saturation = int(rng.integers(256)) if rng.random() < 0.5 else 0
    return ink.hsv(int(rng.integers(180)), saturation, int(rng.choice([20, 60, 200, 250])))


def near(x: float, y: float, width: float, height: float, busy: Sequence[Sequence[float]]) -> bool:
    """Whether a rectangle around (x, y), turned any way a plate is, could touch one of `busy`."""
    reach_x, reach_y = width / 2 + height / 2 + 3, height / 2 + width / 4 + 3
    return any(x + reach_x > b[0] and x - reach_x < b[2] and y + reach_y > b[1] and y - reach_y < b[3] for b in busy)
