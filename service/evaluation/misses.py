"""The objects that were missed worst, as small pictures with what was annotated and what the mask covers.

They show the caller's own pictures unobscured: only `veil evaluate` draws them, into the folder that it was told.
"""

from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from service.evaluation.coverage import HIDDEN
from service.evaluation.dataset import Dataset
from service.evaluation.report import ObjectResult, PictureResult, Report
from service.evaluation.run import Pipeline, at_threshold, open_picture, search
from service.imaging.color import to_rgb8
from service.imaging.masking import build_mask

MOST = 12
"""Pictures of each class."""

SIDE, CONTEXT = 240, 3.0
"""Side of a picture in pixels, and how much more than the object it shows, in its longer sides."""

TRUTH, MASK = (255, 64, 64), np.array((64, 200, 255), np.float32)


@dataclass(frozen=True, slots=True)
class Miss:
    """`jpeg`: SIDE × SIDE pixels, the annotated box in red, what the mask hides tinted blue."""

    picture: str
    subset: str
    object: ObjectResult
    jpeg: bytes


def worst(report: Report) -> list[tuple[PictureResult, ObjectResult]]:
    """What is not hidden, for each class the `MOST` with the most uncovered height, worst first."""
    by_class: dict[str, list[tuple[PictureResult, ObjectResult]]] = defaultdict(list)
    for picture in report.pictures:
        for each in picture.objects:
            if each.coverage < HIDDEN:
                by_class[each.class_name].append((picture, each))
    chosen = []
    for name in sorted(by_class):
        chosen += sorted(by_class[name], key=lambda miss: -miss[1].height * (1 - miss[1].coverage))[:MOST]
    return chosen


async def draw_misses(pipeline: Pipeline, dataset: Dataset, report: Report) -> list[Miss]:
    """The worst misses, each picture opened and searched once more."""
    files = {each.id: each for each in dataset.pictures}
    by_picture: dict[str, list[tuple[int, PictureResult, ObjectResult]]] = defaultdict(list)
    for rank, (picture, each) in enumerate(worst(report)):
        by_picture[picture.id].append((rank, picture, each))
    drawn: list[tuple[int, Miss]] = []
    for identity, misses in by_picture.items():
        raster = open_picture(files[identity], pipeline.settings)
        kept = at_threshold(await search(pipeline, raster, 1), pipeline.policy)
        shown = to_rgb8(raster.upright, raster.color)
        covered = build_mask(kept, pipeline.policy, raster.width, raster.height).coverage()
        for rank, picture, each in misses:
            drawn.append((rank, Miss(picture.id, picture.subset, each, _drawn(shown, covered, each))))
    return [miss for _, miss in sorted(drawn, key=lambda each: each[0])]


def _drawn(picture: npt.NDArray[np.uint8], covered: npt.NDArray[np.bool_], missed: ObjectResult) -> bytes:
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = missed.box
    half = max(x2 - x1, y2 - y1, 8.0) * CONTEXT / 2
    left, top = max(int((x1 + x2) / 2 - half), 0), max(int((y1 + y2) / 2 - half), 0)
    right, bottom = min(int((x1 + x2) / 2 + half) + 1, width), min(int((y1 + y2) / 2 + half) + 1, height)
    crop = picture[top:bottom, left:right].astype(np.float32)
    tinted = covered[top:bottom, left:right]
    crop[tinted] = crop[tinted] * 0.6 + MASK * 0.4
    scale = SIDE / max(crop.shape[:2])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    large = cv2.resize(crop.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    corners = [(round((x - left) * scale), round((y - top) * scale)) for x, y in ((x1, y1), (x2, y2))]
    cv2.rectangle(large, corners[0], corners[1], TRUTH, 1)
    _, jpeg = cv2.imencode(".jpg", large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return jpeg.tobytes()
