"""What each model must answer for known pictures: `golden.json` beside its catalog entry, made by `veil models golden`.

A checksum says that a file is the right one; this says that what computes it is, too: a driver, a plan, a precision or
a backend that is wrong answers with plausible boxes. Scores are compared as sorted lists, which a change of order among
near equals does not disturb; boxes where a score reaches the model's threshold.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from service.models.catalog import Catalog, ModelSpec

SCORES = 16
"""How many of the best scores of a picture are kept."""

ROUNDING = 1e-4
"""Scores are kept with so many digits."""

Box = tuple[float, float, float, float]


class Answer(BaseModel):
    """A model's answer for one picture: its best scores, falling, and its boxes at or over the threshold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scores: tuple[float, ...]
    boxes: tuple[Box, ...]

    @classmethod
    def of(cls, boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], threshold: float) -> "Answer":
        """Of `boxes` (K, 4) in tile pixels and `scores` (K,), falling."""
        certain = boxes[scores >= np.float32(threshold)]
        return cls(
            scores=tuple(round(float(each), 4) for each in scores[:SCORES]),
            boxes=tuple(
                (round(x1, 2), round(y1, 2), round(x2, 2), round(y2, 2)) for x1, y1, x2, y2 in certain.tolist()
            ),
        )


class Golden(BaseModel):
    """What one version of a model must answer, and how far off an engine may be.

    `score`: greatest difference of a score. `relative`: the same as a part of the score; the smaller of both counts,
    because noise scores little everywhere, and other noise, or none, must make a difference. `box`: greatest difference
    of a corner's coordinate, in tile pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    sha256: str
    score: Annotated[float, Field(gt=0, le=0.2)] = 0.02
    relative: Annotated[float, Field(gt=0, le=1)] = 0.25
    box: Annotated[float, Field(gt=0, le=16)] = 2.0
    pictures: Mapping[str, Answer]

    @classmethod
    def read(cls, catalog: Catalog, spec: ModelSpec) -> "Golden | None":
        """The golden answers of `spec`; None if there are none. Raises ValueError, naming the file, if it is wrong."""
        file = catalog.golden(spec)
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(f"{file}: cannot be read ({error.strerror})") from error
        try:
            return cls.model_validate_json(text)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    def write(self, catalog: Catalog, spec: ModelSpec) -> None:
        text = json.dumps(self.model_dump(mode="json"), indent=1)
        content = re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda found: "[" + " ".join(found[1].split()) + "]", text)
        catalog.golden(spec).write_text(content + "\n", encoding="utf-8")

    def difference(self, picture: str, found: Answer) -> str | None:
        """The first difference between `found` and what must be answered for `picture`; None if it is within limits."""
        wanted = self.pictures[picture]
        if len(found.scores) != len(wanted.scores):
            return f"{picture}: {len(found.scores)} scores instead of {len(wanted.scores)}"
        for place, (one, other) in enumerate(zip(found.scores, wanted.scores, strict=True), 1):
            if not abs(one - other) <= min(self.score, self.relative * other + ROUNDING):
                return f"{picture}: score {place} is {one:.4f} instead of {other:.4f}"
        for box in wanted.boxes:
            apart = [max(abs(a - b) for a, b in zip(box, each, strict=True)) for each in found.boxes]
            if not apart or not min(apart) <= self.box:
                nearest = f", the nearest is {min(apart):.1f} pixels off" if apart else ""
                return f"{picture}: no box at {', '.join(f'{v:.0f}' for v in box)}{nearest}"
        return None
