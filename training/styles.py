"""What plates look like: the styles of `styles_*.py`, and how one is drawn.

In a pattern, small letters stand for a random character and everything else for itself: `l` Latin letter, `d` digit,
`a` Arabic letter, `n` Arabic digit, `z` Chinese province, `h` hiragana, `k` Korean syllable, `t` Thai letter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training import ink
from training.fonts import Fonts
from training.ink import Box, Paint, Pixels

ALPHABETS: Mapping[str, str] = {
    "l": "ABCDEFGHJKLMNPRSTUVWXYZ",
    "d": "0123456789",
    "a": "أبحدرسصطعفقلمنهوى",
    "n": "٠١٢٣٤٥٦٧٨٩",
    "z": "京沪粤苏浙川鲁豫鄂湘闽皖",
    "h": "あいうかきくさすせたちつなに",
    "k": "가나다라마거너더러머버서어저고노도로모보소오조",
    "t": "กขคชฎวจณ",
}

ONE_ROW: Box = (0.05, 0.13, 0.95, 0.87)
TOP: Box = (0.07, 0.07, 0.93, 0.47)
BOTTOM: Box = (0.05, 0.53, 0.95, 0.94)


@dataclass(frozen=True)
class Line:
    """One line of text: random `patterns` or, with `literal`, one of these words."""

    patterns: tuple[str, ...]
    box: Box = ONE_ROW
    script: str = "latin"
    literal: bool = False
    color: Paint | None = None
    chance: float = 1.0
    stretch: tuple[float, float] = (0.75, 1.1)


@dataclass(frozen=True)
class Band:
    """A colored field beneath the text."""

    box: Box
    colors: tuple[Paint, ...]
    chance: float = 1.0


@dataclass(frozen=True)
class Style:
    """A kind of plate: `colors` are pairs of ground and ink; `weight` is its share among all styles."""

    weight: float
    aspect: tuple[float, float]
    colors: tuple[tuple[Paint, Paint], ...]
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    shaded: float = 0.0
    height: tuple[int, int] = (84, 120)

    @property
    def scripts(self) -> frozenset[str]:
        return frozenset(line.script for line in self.lines)


def spell(pattern: str, rng: np.random.Generator) -> str:
    """A random text of `pattern`."""
    return "".join(
        ALPHABETS[each][rng.integers(len(ALPHABETS[each]))] if each in ALPHABETS else each for each in pattern
    )


def draw(style: Style, fonts: Fonts, rng: np.random.Generator) -> Pixels:
    """A plate of `style`, seen from the front, without frame."""
    ground, letters = style.colors[rng.integers(len(style.colors))]
    color = letters(rng)
    canvas = ink.panel(rng.uniform(*style.aspect), ground(rng), int(rng.integers(*style.height)))
    if rng.random() < style.shaded:
        tint = ink.hsv(int(rng.integers(180)), int(rng.integers(10, 120)), int(rng.integers(150, 256)))
        ink.shade(canvas, tint, down=rng.random() < 0.8)
    for band in style.bands:
        if rng.random() < band.chance:
            ink.fill(canvas, band.box, band.colors[rng.integers(len(band.colors))](rng))
    faces = {script: fonts.pick(script, rng) for script in sorted(style.scripts)}
    for line in style.lines:
        if rng.random() < line.chance:
            pattern = line.patterns[rng.integers(len(line.patterns))]
            text = pattern if line.literal else spell(pattern, rng)
            mask = faces[line.script].line(text, int(rng.integers(0, 8)))
            ink.write(canvas, mask, line.box, line.color(rng) if line.color else color, rng, stretch=line.stretch)
    return canvas


class Catalog:
    """The styles that can be drawn with the fonts at hand."""

    def __init__(self, styles: Sequence[Style], fonts: Fonts) -> None:
        self.styles = [style for style in styles if style.scripts <= fonts.scripts]
        self.left_out = len(styles) - len(self.styles)
        self._fonts = fonts
        weights = np.array([style.weight for style in self.styles])
        self._shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Pixels:
        """A plate of a random style."""
        return draw(self.styles[int(rng.choice(len(self.styles), p=self._shares))], self._fonts, rng)
