"""What the detectors found in one picture, in pixels of the upright picture, in an order that nothing can disturb."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """N objects of any class.

    `xyxy`: (N, 4) float32, upright pixels. `score`: (N,) float32 in 0..1. `class_id`: (N,) int32 into `classes`.
    `model_id`: (N,) int32 into `models` ("face/1"). Sorted by a total order (class, score falling, box), so the order
    in which tiles were answered cannot matter.
    """

    xyxy: Float32
    score: Float32
    class_id: npt.NDArray[np.int32]
    model_id: npt.NDArray[np.int32]
    classes: tuple[str, ...]
    models: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.score)
        if self.xyxy.shape != (n, 4) or self.class_id.shape != (n,) or self.model_id.shape != (n,):
            raise ValueError("xyxy, score, class_id and model_id must agree in length")

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def empty(cls, classes: tuple[str, ...], models: tuple[str, ...]) -> "Detections":
        none = np.zeros(0, np.int32)
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), none, none, classes, models)

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Detections":
        """The detections at `index` (integers or a boolean mask), in that order."""
        return Detections(
            self.xyxy[index], self.score[index], self.class_id[index], self.model_id[index], self.classes, self.models
        )

    def sorted(self) -> "Detections":
        """The same detections in the total order."""
        x1, y1, x2, y2 = self.xyxy.T
        return self.take(np.lexsort((self.model_id, y2, x2, y1, x1, -self.score, self.class_id)))

    def counts(self) -> dict[str, int]:
        """Objects per class, every class of `classes` named."""
        found = np.bincount(self.class_id, minlength=len(self.classes))
        return {name: int(found[i]) for i, name in enumerate(self.classes)}


def merge(parts: Sequence[Detections], classes: tuple[str, ...], models: tuple[str, ...]) -> Detections:
    """All `parts` (same `classes` and `models`) as one, sorted."""
    return concatenate(parts, classes, models).sorted()


def concatenate(parts: Sequence[Detections], classes: tuple[str, ...], models: tuple[str, ...]) -> Detections:
    """All `parts` (same `classes` and `models`) as one, in their order."""
    if not parts:
        return Detections.empty(classes, models)
    return Detections(
        np.concatenate([p.xyxy for p in parts]),
        np.concatenate([p.score for p in parts]),
        np.concatenate([p.class_id for p in parts]),
        np.concatenate([p.model_id for p in parts]),
        classes,
        models,
    )
