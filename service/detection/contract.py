"""What a detector's answer must be like, whichever engine gave it; one that breaks this is an error, not a guess."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from service.detection.detector import TileBoxes, Tiles
from service.errors import DetectorContractBroken
from service.models.catalog import ModelSpec

INPUT = "tiles"
BOXES, SCORES, LABELS = "boxes", "scores", "labels"

Array = npt.NDArray[np.generic]


def output_shapes(spec: ModelSpec) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Data type (NumPy's name) and shape per tile of each output that `spec` promises."""
    slots = spec.max_detections
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {BOXES: ("float32", (slots, 4)), SCORES: ("float32", (slots,))}
    if len(spec.classes) > 1:
        shapes[LABELS] = ("int32", (slots,))
    return shapes


STEP, LEAST = 32, 64
"""What the sides of a tile of any size are multiples of, and the smallest."""


def check_tiles(tiles: Tiles, spec: ModelSpec, max_batch: int, *, any_size: bool = False) -> None:
    """Raises ValueError unless `tiles` may be asked of the model: a mistake of the caller, never of the detector.

    `any_size`: smaller ones, too, see `Detector.any_size`.
    """
    expected = (spec.tile_height, spec.tile_width, 3)
    smaller = any_size and all(
        side % STEP == 0 and LEAST <= side <= most for side, most in zip(tiles.shape[1:3], expected, strict=False)
    )
    fits = tiles.shape[1:] == expected or (smaller and tiles.shape[3:] == (3,))
    if tiles.dtype != np.uint8 or not fits or not 1 <= len(tiles) <= max_batch:
        raise ValueError(
            f"tiles are {tiles.dtype} {tiles.shape}, not uint8 (1..{max_batch}, {', '.join(map(str, expected))})"
        )


def validated(answer: Mapping[str, Array], spec: ModelSpec, count: int) -> TileBoxes:
    """`answer` (by output name) for `count` tiles, if it is what `spec` promises.

    Checked are names, data types and shapes; that all numbers are finite; that scores lie in 0..1 and never rise; that
    used boxes have their corners in order; that labels name a class. Raises DetectorContractBroken.
    """
    for name, (dtype, shape) in output_shapes(spec).items():
        found = answer.get(name)
        if found is None:
            raise broken(spec, f"no output {name!r}")
        if found.dtype != dtype or found.shape != (count, *shape):
            raise broken(spec, f"{name} is {found.dtype} {found.shape}, not {dtype} {(count, *shape)}")
    boxes = np.asarray(answer[BOXES], np.float32)
    scores = np.asarray(answer[SCORES], np.float32)
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise broken(spec, "boxes or scores are not finite")
    if (scores < 0).any() or (scores > 1).any():
        raise broken(spec, "scores are not in 0..1")
    if (np.diff(scores, axis=1) > 0).any():
        raise broken(spec, "scores rise")
    if ((boxes[..., :2] > boxes[..., 2:]).any(axis=-1) & (scores > 0)).any():
        raise broken(spec, "a box has its corners swapped")
    if len(spec.classes) == 1:
        return TileBoxes(boxes, scores)
    labels = np.asarray(answer[LABELS], np.int32)
    if (((labels < 0) | (labels >= len(spec.classes))) & (scores > 0)).any():
        raise broken(spec, "a label names no class")
    return TileBoxes(boxes, scores, labels)


def broken(spec: ModelSpec, cause: str) -> DetectorContractBroken:
    """The error that says what `spec`'s model did wrong."""
    return DetectorContractBroken(cause=f"{spec.label}: {cause}")
