"""What the detectors found in one picture, in pixels of the upright picture, in an order that nothing can disturb."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.imaging.curved import polygon
from service.imaging.sphere import Float64, Sphere

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """N objects of any class.

    `xyxy`: (N, 4) float32, upright pixels. `score`: (N,) float32 in 0..1. `class_id`: (N,) int32 into `classes`.
    `model_id`: (N,) int32 into `models` ("face/1"). Sorted by a total order (class, score falling, box), so the order
    in which tiles were answered cannot matter.

    `sphere`: where a panorama lies on the sphere, None for a flat picture. `curved`: (N, 6) float64 for a panorama, the
    box of each that a perspective view found (see `imaging.curved`), NaN for one that was found in the panorama itself;
    `xyxy` is around it, and goes on beyond the panorama's right edge (x2 > width) if the object crosses the seam.
    """

    xyxy: Float32
    score: Float32
    class_id: npt.NDArray[np.int32]
    model_id: npt.NDArray[np.int32]
    classes: tuple[str, ...]
    models: tuple[str, ...]
    sphere: Sphere | None = None
    curved: Float64 | None = None

    def __post_init__(self) -> None:
        n = len(self.score)
        if (self.sphere is None) != (self.curved is None) or (self.curved is not None and self.curved.shape != (n, 6)):
            raise ValueError("a panorama's detections have a sphere and curved boxes, others neither")
        if self.xyxy.shape != (n, 4) or self.class_id.shape != (n,) or self.model_id.shape != (n,):
            raise ValueError("xyxy, score, class_id and model_id must agree in length")

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def empty(cls, classes: tuple[str, ...], models: tuple[str, ...], sphere: Sphere | None = None) -> "Detections":
        none = np.zeros(0, np.int32)
        curved = None if sphere is None else np.zeros((0, 6))
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), none, none, classes, models, sphere, curved)

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Detections":
        """The detections at `index` (integers or a boolean mask), in that order."""
        return Detections(
            self.xyxy[index],
            self.score[index],
            self.class_id[index],
            self.model_id[index],
            self.classes,
            self.models,
            self.sphere,
            None if self.curved is None else self.curved[index],
        )

    def sorted(self) -> "Detections":
        """The same detections in the total order."""
        x1, y1, x2, y2 = self.xyxy.T
        shapes = () if self.curved is None else tuple(np.nan_to_num(self.curved, nan=-9.0).T)
        return self.take(np.lexsort((*shapes, self.model_id, y2, x2, y1, x1, -self.score, self.class_id)))

    def flat(self) -> npt.NDArray[np.bool_]:
        """Which were found in the picture as it is: (N,) bool."""
        return np.ones(len(self), np.bool_) if self.curved is None else np.isnan(self.curved[:, 0])

    def polygon(self, index: int) -> Float64 | None:
        """The outline (k, 2) of one that a perspective view found, in pixels like its box; None for others."""
        if self.sphere is None or self.curved is None or np.isnan(self.curved[index, 0]):
            return None
        points = polygon(self.curved[index], self.sphere)
        turns = np.round((self.xyxy[index, 0] - points[:, 0].min()) / self.sphere.full_width)
        moved: Float64 = points + np.array([turns * self.sphere.full_width, 0.0])
        return moved

    def counts(self) -> dict[str, int]:
        """Objects per class, every class of `classes` named."""
        found = np.bincount(self.class_id, minlength=len(self.classes))
        return {name: int(found[i]) for i, name in enumerate(self.classes)}


def merge(parts: Sequence[Detections], classes: tuple[str, ...], models: tuple[str, ...]) -> Detections:
    """All `parts` (same `classes` and `models`, one picture) as one, sorted."""
    return concatenate(parts, classes, models).sorted()


def concatenate(parts: Sequence[Detections], classes: tuple[str, ...], models: tuple[str, ...]) -> Detections:
    """All `parts` (same `classes` and `models`, one picture) as one, in their order."""
    if not parts:
        return Detections.empty(classes, models)
    sphere = next((p.sphere for p in parts if p.sphere is not None), None)
    return Detections(
        np.concatenate([p.xyxy for p in parts]),
        np.concatenate([p.score for p in parts]),
        np.concatenate([p.class_id for p in parts]),
        np.concatenate([p.model_id for p in parts]),
        classes,
        models,
        sphere,
        None if sphere is None else np.concatenate([_curved(p) for p in parts]),
    )


def _curved(part: Detections) -> Float64:
    return np.full((len(part), 6), np.nan) if part.curved is None else part.curved
