"""What is hidden of faces that lie, hang or lean, and of faces behind masks, sunglasses and helmets.

`python -m benchmarks.lying SET [--effort thorough] [--every N] [--subset NAME]`: every annotated picture is searched as
it is, turned by 90°, 180°, 270° and 45°, and with covers drawn over all its faces. Hidden is counted as `veil evaluate`
counts, on the annotated box; at 45°, where a box around the face has empty corners, on the ellipse within it. Pictures
without faces are searched as they are, for false boxes.
"""

import argparse
import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.covers import COVERS, Box, Picture
from service.evaluation import dataset
from service.evaluation.counting import count
from service.evaluation.coverage import HIDDEN, coverage
from service.evaluation.run import Pipeline, open_picture, open_pipeline
from service.evaluation.summary import HEIGHTS
from service.imaging.color import to_rgb8
from service.imaging.detections import Detections
from service.imaging.fusion import suppress
from service.imaging.masking import Mask, build_mask
from service.imaging.quarters import turned
from service.imaging.raster import ColorModel, Raster
from service.imaging.views import PAD
from service.settings import Settings

LEAST = 24
"""Pictures count that show a face of this height; smaller ones in them count, too."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--effort", default="thorough")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--subset", action="append", default=[])
    arguments = parser.parse_args()
    chosen = dataset.read_dataset(arguments.set).sample(every=arguments.every, subsets=tuple(arguments.subset))
    asyncio.run(report(chosen, arguments.effort))


async def report(chosen: dataset.Dataset, effort: str) -> None:
    """Prints the table: a row for each way in which the pictures were changed."""
    hidden: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    tiles: dict[str, int] = defaultdict(int)
    shown = empty = false = true = wrong = 0
    began = time.perf_counter()
    async with open_pipeline(Settings.load({}), [f"effort={effort}", "classes=face"]) as pipeline:
        for picture in chosen.pictures:
            heights = [each.height for each in faces(picture)]
            if "face" not in picture.annotated or (heights and max(heights) < LEAST):
                continue
            raster = open_picture(picture, pipeline.settings)
            pixels = np.ascontiguousarray(to_rgb8(raster.upright, raster.color))
            if not heights:
                found, cost = await search(pipeline, pixels)
                empty, false = empty + 1, false + len(suppress(found))
                continue
            shown += 1
            for name, changed, mover in variants(pixels, picture):
                found, cost = await search(pipeline, changed)
                tiles[name] += cost
                mask = build_mask(found, pipeline.policy, changed.shape[1], changed.shape[0])
                hidden[name] += [(each.height, mover(mask, each.xyxy) >= HIDDEN - 1e-9) for each in faces(picture)]
                if name == "as it is" and "face" in picture.exhaustive:
                    counted = count(found, "face", picture.of("face"))
                    true, wrong = true + counted.true, wrong + len(counted.false)
    print(f"{effort}: {shown} pictures, {time.perf_counter() - began:.0f} s, {tiles['as it is']} tiles as they are")
    for name, each in hidden.items():
        print(f"  {name:10s} " + "  ".join(rates(each)))
    if empty:
        print(f"  false boxes per picture without faces: {false / empty:.2f} ({empty} pictures)")
    if true + wrong:
        print(f"  precision as they are, where all faces are annotated: {true / (true + wrong):.3f}")


def faces(picture: dataset.Picture) -> list[dataset.Truth]:
    return [each for each in picture.of("face") if not each.ignored]


def rates(results: list[tuple[float, bool]]) -> Iterator[str]:
    for low, high, name in HEIGHTS:
        group = [hit for height, hit in results if low <= height < high]
        if group:
            yield f"{name} {sum(group) / len(group):.3f} of {len(group)}"


async def search(pipeline: Pipeline, pixels: Picture) -> tuple[Detections, int]:
    """What is found in `pixels` (h, w, 3) RGB, and in how many tiles."""
    searched = await pipeline.detection.run(Raster(pixels, ColorModel.RGB, alpha=False), pipeline.policy)
    return searched.detections, searched.tiles


class Quarters:
    """How much of a box is hidden in a picture of `width` × `height` that was turned by `quarters`."""

    def __init__(self, quarters: int, width: int, height: int) -> None:
        self._quarters, self._width, self._height = quarters, width, height

    def __call__(self, mask: Mask, box: Box) -> float:
        return coverage(mask, turned_box(box, self._quarters, self._width, self._height))


def turned_box(box: Box, quarters: int, width: int, height: int) -> Box:
    """Where `box` lies once its picture of `width` × `height` is turned counterclockwise by `quarters`."""
    for _ in range(quarters):
        x1, y1, x2, y2 = box
        box = (y1, width - x2, y2, width - x1)
        width, height = height, width
    return box


class Leaning:
    """How much of the ellipse within a box is hidden in a picture that `matrix` (2, 3) turned by `degrees`."""

    def __init__(self, matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]], degrees: float) -> None:
        self._matrix, self._degrees = matrix, degrees

    def __call__(self, mask: Mask, box: Box) -> float:
        x1, y1, x2, y2 = box
        x, y = self._matrix @ np.array([(x1 + x2) / 2 - 0.5, (y1 + y2) / 2 - 0.5, 1])
        face = np.zeros((mask.height, mask.width), np.uint8)
        cv2.ellipse(face, ((float(x), float(y)), (x2 - x1, y2 - y1), -self._degrees), (1,), cv2.FILLED)
        inside = face > 0
        return float(mask.hidden((0, 0, mask.width, mask.height))[inside].mean()) if inside.any() else 0.0


def variants(pixels: Picture, picture: dataset.Picture) -> Iterator[tuple[str, Picture, Quarters | Leaning]]:
    """Every changed picture, with what says how much of an annotated box is hidden in it."""
    height, width = pixels.shape[:2]
    upright = Quarters(0, width, height)
    yield "as it is", pixels, upright
    for quarters in (1, 2, 3):
        yield f"{90 * quarters}°", turned(pixels, quarters), Quarters(quarters, width, height)
    leaning, matrix = leaned(pixels, 45.0)
    yield "45°", leaning, Leaning(matrix, 45.0)
    for name, draw in COVERS.items():
        covered = pixels.copy()
        for number, each in enumerate(sorted(faces(picture), key=lambda face: face.height)):
            draw(covered, each.xyxy, number)
        yield name, covered, upright


def leaned(pixels: Picture, degrees: float) -> tuple[Picture, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """`pixels` turned counterclockwise in a gray frame that holds all of them, and the matrix (2, 3) that does it."""
    height, width = pixels.shape[:2]
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    size = math.ceil(width * cos + height * sin), math.ceil(width * sin + height * cos)
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    shown = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(PAD, PAD, PAD))
    return np.asarray(shown, np.uint8), matrix


if __name__ == "__main__":
    main()
