"""Heads that lie or hang, masks, sunglasses and helmets: a crowd of real faces, searched by the real models.

What it is worth on annotated photographs: `python -m benchmarks.lying`, docs/explanation/measurements.md.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.covers import COVERS
from benchmarks.lying import turned_box
from service.evaluation.coverage import HIDDEN, coverage
from service.evaluation.run import open_pipeline
from service.imaging.masking import build_mask
from service.policy import Effort, Policy
from service.settings import Settings
from tests.crowd import Box, crowd
from tests.pictures import FACE, raster, street

pytestmark = pytest.mark.timeout(300)

SMALL, LARGE = 44, 56
"""Sides of the faces: those of 44 pixels are missed more often than not when they lie."""


def without_turns(policy: Policy) -> Policy:
    """The same, but that no class is looked for in the turned picture."""
    classes = tuple(
        each.model_copy(update={"agreement": each.agreement and each.agreement.model_copy(update={"turned": None})})
        for each in policy.classes
    )
    return policy.model_copy(update={"classes": classes})


async def hidden(
    pixels: npt.NDArray[np.uint8], boxes: Sequence[Box], effort: Effort, *, turns: bool = True
) -> tuple[int, int]:
    """How many of `boxes` the mask covers by three quarters and more, and how many tiles were searched."""
    async with open_pipeline(Settings.load({}), ["classes=face", f"effort={effort.value}"]) as pipeline:
        policy = pipeline.policy if turns else without_turns(pipeline.policy)
        searched = await pipeline.detection.run(raster(pixels), policy)
    mask = build_mask(searched.detections, policy, pixels.shape[1], pixels.shape[0])
    return sum(coverage(mask, box) >= HIDDEN for box in boxes), searched.tiles


def turned_crowd(quarters: int) -> tuple[npt.NDArray[np.uint8], list[Box]]:
    pixels, boxes = crowd(SMALL)
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(np.rot90(pixels, quarters)), [turned_box(b, quarters, width, height) for b in boxes]


@pytest.mark.parametrize("effort", [Effort.BALANCED, Effort.THOROUGH])
async def test_upright_faces_are_hidden(effort: Effort) -> None:
    assert (await hidden(*crowd(SMALL), effort))[0] == 12


@pytest.mark.parametrize("quarters", [1, 2, 3])
async def test_lying_and_hanging_heads_are_hidden_by_a_thorough_search(quarters: int) -> None:
    assert (await hidden(*turned_crowd(quarters), Effort.THOROUGH))[0] == 12


@pytest.mark.parametrize("quarters", [1, 2, 3])
async def test_without_turned_tiles_most_of_them_are_missed(quarters: int) -> None:
    scene = turned_crowd(quarters)
    upright_only, fewer = await hidden(*scene, Effort.THOROUGH, turns=False)
    balanced, fewest = await hidden(*scene, Effort.BALANCED)
    _, most = await hidden(*scene, Effort.THOROUGH)
    assert upright_only <= 6
    assert balanced <= 6
    assert most > fewer == fewest, "this small picture is searched alike by both, but for the turned tiles"


@pytest.mark.parametrize("quarters", [1, 3])
async def test_somebody_who_lies_in_an_upright_picture_is_hidden(quarters: int) -> None:
    pixels = street().copy()
    x, y, side = 10, 30, 400
    pixels[y : y + side, x : x + side] = np.rot90(pixels[y : y + side, x : x + side], quarters)
    x1, y1, x2, y2 = turned_box((FACE[0] - x, FACE[1] - y, FACE[2] - x, FACE[3] - y), quarters, side, side)
    assert (await hidden(pixels, [(x1 + x, y1 + y, x2 + x, y2 + y)], Effort.THOROUGH))[0] == 1


@pytest.mark.parametrize("cover", COVERS)
async def test_covered_faces_are_hidden_by_a_balanced_search(cover: str) -> None:
    pixels, boxes = crowd(LARGE)
    covered = pixels.copy()
    for number, box in enumerate(boxes):
        COVERS[cover](covered, box, number)
    assert (covered != pixels).any()
    assert (await hidden(covered, boxes, Effort.BALANCED))[0] == 12


async def test_covered_faces_that_lie_are_hidden_by_a_thorough_search() -> None:
    pixels, boxes = crowd(LARGE)
    height, width = pixels.shape[:2]
    covered = pixels.copy()
    for number, box in enumerate(boxes):
        list(COVERS.values())[number % 3](covered, box, number)
    lying = np.ascontiguousarray(np.rot90(covered))
    assert (await hidden(lying, [turned_box(b, 1, width, height) for b in boxes], Effort.THOROUGH))[0] == 12
