"""The golden set: known pictures, and whether a detector answers them as `golden.json` says.

Two pictures. `street` has a face and a plate: NASA's public-domain portrait of Eileen Collins, and a drawn car.
`noise` is a canary that is computed, not stored: an engine that reads or sends other bytes than it was given answers
photographs with plausible boxes, but not noise with the same scores.
"""

import asyncio
import hashlib
from importlib.resources import files

import cv2
import numpy as np

from service.detection.detector import Detector, Tiles
from service.imaging.codec import decode
from service.imaging.source import SourceLimits, inspect
from service.models.catalog import ModelSpec
from service.models.golden import Answer, Golden

STREET = files("service.detection").joinpath("pictures/street.jpg")
GRAY = 114
"""What fills a tile beside the picture."""


def golden_tiles(spec: ModelSpec) -> dict[str, Tiles]:
    """Each picture as a tile (height, width, 3) uint8 RGB of the model's size: scaled down to fit, never up."""
    height, width = spec.tile_height, spec.tile_width
    data = STREET.read_bytes()
    pixels = np.asarray(decode(inspect(data, SourceLimits(1_000_000, 1_000))).pixels, np.uint8)
    scale = min(1.0, height / pixels.shape[0], width / pixels.shape[1])
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    street = np.full((height, width, 3), GRAY, np.uint8)
    street[: pixels.shape[0], : pixels.shape[1]] = pixels
    noise = np.frombuffer(hashlib.shake_256(b"veil").digest(height * width * 3), np.uint8)
    return {"street": street, "noise": noise.reshape(height, width, 3)}


async def golden_answers(detector: Detector) -> dict[str, Answer]:
    """What `detector` answers, by picture. Raises DetectionFailed."""
    spec = detector.spec
    tiles = await asyncio.to_thread(golden_tiles, spec)
    answers = {}
    for name, tile in tiles.items():
        found = await detector.detect(tile[np.newaxis])
        answers[name] = Answer.of(found.boxes[0], found.scores[0], spec.threshold)
    return answers


async def difference(detector: Detector, golden: Golden) -> str | None:
    """How `detector` differs from its golden answers, None if it does not. Raises DetectionFailed."""
    if (golden.version, golden.sha256) != (detector.spec.version, detector.spec.sha256):
        return "the golden answers are those of another file; run 'veil models golden'"
    for name, found in (await golden_answers(detector)).items():
        if name not in golden.pictures:
            return f"there is no golden answer for {name}; run 'veil models golden'"
        if (differs := golden.difference(name, found)) is not None:
            return differs
    return None
