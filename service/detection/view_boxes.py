"""From views of a picture to tiles for the detectors, and from their answers back to boxes in the picture."""

from collections.abc import Iterator, Sequence

import numpy as np

from service.detection.agreement import floor
from service.detection.detector import Detector, TileBoxes, Tiles
from service.detection.jobs import quarters_of, scale_of
from service.imaging.blank import is_blank
from service.imaging.detections import Detections
from service.imaging.perspective import perspective_tile
from service.imaging.sphere import Sphere
from service.imaging.sphere_views import AnyView, in_picture
from service.imaging.views import Pyramid, View
from service.models.catalog import ModelSpec
from service.observability.logs import get_logger
from service.policy import Policy

logger = get_logger(__name__)

Part = tuple[Detections, float, int]
"""What one view shows of one class, the view's scale, and the quarters by which it is turned."""


def cut(pyramid: Pyramid, views: Sequence[AnyView], limit: int) -> tuple[tuple[AnyView, ...], Tiles]:
    """Those of `views` that are not blank, and their tiles: (N, height, width, 3) uint8 RGB."""
    tiles = [(v, pyramid.tile(v) if isinstance(v, View) else perspective_tile(pyramid, v)) for v in views]
    shown = [(view, tile) for view, tile in tiles if not is_blank(tile, limit)]
    if not shown:
        return (), np.empty((0, 0, 0, 3), np.uint8)
    return tuple(view for view, _ in shown), np.stack([tile for _, tile in shown])


def found_in(
    answer: TileBoxes,
    views: Sequence[AnyView],
    sphere: Sphere | None,
    policy: Policy,
    spec: ModelSpec,
    asked: tuple[Detector, ...],
) -> Iterator[Part]:
    """For each view and class of `policy`: the boxes that can matter, in upright pixels."""
    model = labels_of(asked).index(spec.label)
    classes = policy.class_names
    for i, view in enumerate(views):
        # float32 on both sides: a score that prints as the threshold is at the threshold.
        for known, name in enumerate(spec.classes):
            if name not in classes or (quarters_of(view) and not policy.turns(name)):
                continue
            scores = answer.scores[i]
            keep = (scores > 0) & (scores >= floor(policy.of(name)))
            if keep[-1] and scores[-1] >= np.float32(policy.of(name).threshold):
                # Not an error: where objects are that dense, finer levels see fewer of them in a tile.
                logger.warning("tile-full", model=spec.label)
            if answer.labels is not None:
                keep &= answer.labels[i] == known
            xyxy, curved = in_picture(answer.boxes[i][keep], view, sphere)
            inside = (xyxy[:, 0] < xyxy[:, 2]) & (xyxy[:, 1] < xyxy[:, 3])
            count = int(inside.sum())
            if count:
                part = Detections(
                    xyxy[inside],
                    scores[keep][inside],
                    np.full(count, classes.index(name), np.int32),
                    np.full(count, model, np.int32),
                    classes,
                    labels_of(asked),
                    sphere,
                    None if curved is None else curved[inside],
                )
                yield part, scale_of(view), quarters_of(view)


def labels_of(detectors: Sequence[Detector]) -> tuple[str, ...]:
    return tuple(d.spec.label for d in detectors)
