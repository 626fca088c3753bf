"""Everything but detection, stage by stage and by number of masks, against plain decoding and encoding; by turns."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from benchmarks.jpeg_patch import LIMITS, QUALITY, with_opencv, with_pillow
from benchmarks.jpegtran import drop
from service.imaging.codec import decode
from service.imaging.detections import Detections
from service.imaging.jpeg_patch import patch
from service.imaging.layers import cover
from service.imaging.masking import build_mask
from service.imaging.source import inspect
from service.imaging.turbojpeg import TurboJpeg
from service.imaging.verify import verify
from service.policy import ClassPolicy, Policy, Shape

DROPPED = 2
"""Rounds in which `jpegtran -drop` is measured: a call for each mask takes its time."""

MASKS = (0, 1, 20, 100)
CLASSES = (
    ClassPolicy(name="face", threshold=0.5, margin=0.15, shape=Shape.ELLIPSE),
    ClassPolicy(name="plate", threshold=0.5, margin=0.15, shape=Shape.BOX),
)


def boxes(count: int, width: int, height: int) -> np.ndarray:
    """`count` × 4 float32, in the street's part of a picture, faces and plates by turns.

    As many in each octave of width from 12 to 240 pixels. The median of 54 is above what streets have: faces in the
    pictures that Veil is evaluated with have a median of 22 and their largest twentieth begins at 81.
    """
    random = np.random.default_rng(count)
    side = np.geomspace(12, 240, count + 2)[1:-1]
    high = np.where(np.arange(count) % 2, side * 1.25, side / 4)
    x, y = random.uniform(0, width - side), random.uniform(height * 0.3, height * 0.7, count)
    return np.stack([x, y, x + side, y + high], axis=1).astype(np.float32)


def found(count: int, width: int, height: int) -> Detections:
    return Detections(
        xyxy=boxes(count, width, height),
        score=np.ones(count, np.float32),
        class_id=(1 - np.arange(count) % 2).astype(np.int32),
        model_id=np.zeros(count, np.int32),
        classes=("face", "plate"),
        models=("none",),
    )


def pipeline(data: bytes, count: int, library: TurboJpeg) -> dict[str, float]:
    """Processor seconds of each stage but detection, by the service's own functions."""
    policy, spent = Policy(classes=CLASSES), {}
    began = time.process_time()

    def lap(stage: str) -> None:
        nonlocal began
        now = time.process_time()
        spent[stage], began = now - began, now

    source = inspect(data, LIMITS)
    lap("inspect")
    raster = decode(source)
    lap("decode")
    mask = build_mask(found(count, raster.width, raster.height), policy, raster.width, raster.height)
    lap("mask")
    over = cover(raster, mask, b"benchmark")
    del raster
    lap("obscure")
    patched = patch(over, source, library)
    assert patched is not None
    lap("encode")
    verify(patched, source.format, over)
    lap("verify")
    return spent


def measure(data: bytes, library: TurboJpeg, repeats: int, *, jpegtran: bool) -> dict[str, Any]:
    """Medians of processor seconds; each round runs everything once, so that a slow minute meets all."""
    peers: dict[str, Callable[[], object]] = {
        "OpenCV decode + encode": lambda: with_opencv(data),
        "Pillow decode + encode": lambda: with_pillow(data),
    }
    rounds: dict[str, list[float]] = {name: [] for name in peers}
    ours: dict[int, list[dict[str, float]]] = {count: [] for count in MASKS}
    dropping: list[float] = []
    for i in range(repeats):
        for name, work in peers.items():
            began = time.process_time()
            work()
            rounds[name].append(time.process_time() - began)
        for count in MASKS:
            ours[count].append(pipeline(data, count, library))
        if jpegtran and i < DROPPED:
            dropping.append(_dropped(data))
    peer = {name: statistics.median(each) for name, each in rounds.items()}
    base = peer["OpenCV decode + encode"]
    stages = {
        str(count): {stage: statistics.median(each[stage] for each in runs) for stage in runs[0]}
        for count, runs in ours.items()
    }
    totals = {count: statistics.median(sum(each.values()) for each in runs) for count, runs in ours.items()}
    result: dict[str, Any] = {
        "peers, s": peer,
        "stages by masks, s": stages,
        "beside detection by masks, s": {str(count): total for count, total in totals.items()},
        "beside detection at 20 masks / OpenCV": totals[20] / base,
        "100 masks / 1 mask": totals[100] / totals[1],
        "encode at 20 masks / OpenCV": stages["20"]["encode"] / base,
        "encode at 20 masks / Pillow": stages["20"]["encode"] / peer["Pillow decode + encode"],
    }
    if dropping:
        result["jpegtran -drop at 20 masks, s"] = statistics.median(dropping)
        result["jpegtran -drop / encode at 20 masks"] = statistics.median(dropping) / stages["20"]["encode"]
    return result


def _dropped(data: bytes) -> float:
    """Processor seconds of `jpegtran -drop` for the same 20 boxes, and of nothing else."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return drop(data, pixels, boxes(20, pixels.shape[1], pixels.shape[0]), QUALITY)
