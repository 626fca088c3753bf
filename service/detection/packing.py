"""Small tiles side by side in one, for a detector that takes tiles of one size only."""

from itertools import product

import numpy as np

from service.detection.agreement import floor
from service.detection.contract import LEAST, STEP
from service.detection.detector import Detector, TileBoxes, Tiles
from service.imaging.views import PAD
from service.models.catalog import ModelSpec


async def detect(detector: Detector, tiles: Tiles) -> TileBoxes:
    """As `Detector.detect`, for `tiles` (N, h, w, 3) of any size up to the detector's, in as few calls as it can.

    Of what lies over several of them, each has what lies in it by its middle.
    """
    spec = detector.spec
    if detector.any_size:
        return await detector.detect(_in_steps(tiles))
    if tiles.shape[1:3] == (spec.tile_height, spec.tile_width):
        return await detector.detect(tiles)
    places = _places(tiles, spec)
    answers = []
    for begin in range(0, len(tiles), len(places)):
        packed = tiles[begin : begin + len(places)]
        answer = await detector.detect(_laid(packed, places, spec))
        if len(packed) > 1 and answer.scores[0, -1] >= min(map(floor, spec.class_policies())):
            # No room for more in the answer, which is made for one tile: none of them may go short.
            answers += [
                _of_each(await detector.detect(_laid(one, places, spec)), one, places) for one in packed[:, None]
            ]
        else:
            answers.append(_of_each(answer, packed, places))
    labels = [each.labels for each in answers if each.labels is not None]
    return TileBoxes(
        np.concatenate([each.boxes for each in answers]),
        np.concatenate([each.scores for each in answers]),
        np.concatenate(labels) if labels else None,
    )


def _in_steps(tiles: Tiles) -> Tiles:
    """`tiles`, with gray to their right and below up to sides that a detector for any size takes."""
    beyond = [max(LEAST, -(-side // STEP) * STEP) - side for side in tiles.shape[1:3]]
    if not any(beyond):
        return tiles
    return np.pad(tiles, ((0, 0), (0, beyond[0]), (0, beyond[1]), (0, 0)), constant_values=PAD)


def _places(tiles: Tiles, spec: ModelSpec) -> list[tuple[int, int]]:
    """Corners (x, y) at which tiles of this size fit beside each other."""
    height, width = tiles.shape[1:3]
    rows, columns = range(0, spec.tile_height - height + 1, height), range(0, spec.tile_width - width + 1, width)
    return [(x, y) for y, x in product(rows, columns)]


def _laid(tiles: Tiles, places: list[tuple[int, int]], spec: ModelSpec) -> Tiles:
    """(1, tile_height, tile_width, 3): `tiles` at the first of `places`, gray beside them."""
    laid = np.full((1, spec.tile_height, spec.tile_width, 3), PAD, np.uint8)
    height, width = tiles.shape[1:3]
    for tile, (x, y) in zip(tiles, places, strict=False):
        laid[0, y : y + height, x : x + width] = tile
    return laid


def _of_each(answer: TileBoxes, tiles: Tiles, places: list[tuple[int, int]]) -> TileBoxes:
    """`answer` for a tile that was laid out, as one for each of `tiles`."""
    boxes, scores = answer.boxes[0], answer.scores[0]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    corners = np.array(places[: len(tiles)], np.float32)
    height, width = tiles.shape[1:3]
    inside = ((middles >= corners[:, None]) & (middles < corners[:, None] + [width, height])).all(axis=2)
    return TileBoxes(
        boxes - np.concatenate([corners, corners], axis=1)[:, None],
        np.where(inside, scores, np.float32(0)),
        None if answer.labels is None else np.repeat(answer.labels, len(tiles), axis=0),
    )
