"""Fonts by script, and lines of text as masks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Mask = NDArray[np.uint8]
"""(h, w), 0..255: how much of a pixel the ink covers."""

SIZE = 56
"""Pixels per em of the glyphs, larger than any plate's characters in a crop."""

WANTED: Mapping[str, tuple[str, ...]] = {
    "latin": (
        "DejaVuSans-Bold", "DejaVuSansCondensed-Bold", "DejaVuSansMono-Bold", "LiberationSans-Bold",
        "LiberationSansNarrow-Bold", "LiberationMono-Bold", "RobotoCondensed-Bold", "RobotoCondensed-Medium",
        "Roboto-Bold", "FreeSansBold", "OpenSans-CondBold", "OpenSans-Bold", "Lato-Bold", "B612-Bold", "B612Mono-Bold",
        "NimbusSansNarrow-Bold", "NotoSans-Bold", "NotoSans-CondensedBold", "NotoSansMono-Bold", "DejaVuSans",
    ),
    "serif": ("DejaVuSerif-Bold", "LiberationSerif-Bold", "FreeSerifBold", "NimbusRoman-Bold", "Lato-BlackItalic"),
    "cjk": ("NotoSansCJK-Bold",),
    "arabic": ("NotoSansArabic-Bold", "NotoKufiArabic-Bold"),
    "thai": ("NotoSansThai-Bold",),
}  # fmt: skip
"""Script → file names without ending, as Debian's fonts-dejavu, -liberation, -roboto-unhinted, -freefont-ttf,
-open-sans, -lato, -b612, -urw-base35, -noto-core and -noto-cjk have them."""

BUILT_IN = "built-in"
"""Stands for the Latin font that Pillow carries: enough for a try, too uniform for training."""


@dataclass
class Face:
    """One font; glyphs are rendered once."""

    font: ImageFont.FreeTypeFont
    glyphs: dict[str, Mask] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str) -> "Face":
        """The font file at `path`, or Pillow's own. Raises OSError if there is none."""
        if path != BUILT_IN:
            return cls(ImageFont.truetype(path, SIZE))
        font = ImageFont.load_default(SIZE)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise OSError("this Pillow was built without FreeType")
        return cls(font)

    def glyph(self, character: str) -> Mask:
        if character not in self.glyphs:
            ascent, descent = self.font.getmetrics()
            image = Image.new("L", (max(1, int(np.ceil(self.font.getlength(character)))) + 4, ascent + descent), 0)
            ImageDraw.Draw(image).text((2, 0), character, font=self.font, fill=255)
            self.glyphs[character] = np.asarray(image)
        return self.glyphs[character]

    def line(self, text: str, spacing: int = 0) -> Mask:
        """`text` cut to its ink, `spacing` pixels wider between characters. Never empty."""
        parts = []
        for character in text:
            glyph = self.glyph(character)
            parts += [
                glyph[:, : SIZE // 4] * 0 if character == " " else glyph,
                np.zeros((len(glyph), spacing), np.uint8),
            ]
        mask = np.hstack(parts) if parts else np.zeros((8, 8), np.uint8)
        rows, columns = np.flatnonzero(mask.max(1) > 60), np.flatnonzero(mask.max(0) > 60)
        if not len(rows):
            return np.zeros((8, 8), np.uint8)
        return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


class Fonts:
    """The fonts that a machine has, by script."""

    def __init__(self, paths: Mapping[str, Iterable[str]]) -> None:
        self.paths = {script: tuple(found) for script, found in paths.items() if found}
        self._faces: dict[str, Face] = {}

    @classmethod
    def find(cls, *folders: Path) -> "Fonts":
        """What of WANTED lies below `folders`; Latin is never without a font."""
        files = {path.stem: str(path) for folder in folders for path in sorted(folder.rglob("*.[ot]t[fc]"))}
        found = {script: [files[name] for name in names if name in files] for script, names in WANTED.items()}
        return cls({**found, "latin": found["latin"] or [BUILT_IN], "serif": found["serif"] or [BUILT_IN]})

    @property
    def scripts(self) -> frozenset[str]:
        return frozenset(self.paths)

    def pick(self, script: str, rng: np.random.Generator) -> Face:
        """A random font of `script`. Raises KeyError if there is none."""
        paths = self.paths[script]
        path = paths[rng.integers(len(paths))]
        if path not in self._faces:
            self._faces[path] = Face.open(path)
        return self._faces[path]
