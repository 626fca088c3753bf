"""What is hidden on an annotated set: `python -m benchmarks.recall FOLDER [--effort …] [--triton HOST:PORT]`.

FOLDER has `images/` and COCO-style `annotations.json` (classes face and plate; per image `annotated` and `exhaustive`
by class; `iscrowd` marks regions to ignore). Hidden means: at least 75 % of the annotated box lies under the fully
hiding part of the mask, by the real pipeline up to the mask.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from service.app import default_policy, engine_name, open_detectors, tiled_detection
from service.detection.tiled import TiledDetection
from service.errors import VeilError
from service.imaging.codec import decode
from service.imaging.fusion import suppress
from service.imaging.masking import build_mask
from service.imaging.source import SourceLimits, inspect
from service.models.catalog import Catalog
from service.policy import Effort, Policy
from service.settings import Settings

BUCKETS = ((0, 16), (16, 32), (32, 96), (96, 1 << 20))
HIDDEN = 0.75
TOUCH = 0.1
"""A detection that shares this much of its area with a truth or an ignore region is no false box."""

Rows = dict[tuple[str, str], list[int]]


def overlap(box: np.ndarray, others: list[list[float]]) -> float:
    """Largest share of `box` that one of `others` (both x1, y1, x2, y2) covers."""
    area = max(1e-6, float((box[2] - box[0]) * (box[3] - box[1])))
    best = 0.0
    for x1, y1, x2, y2 in others:
        across, down = min(box[2], x2) - max(box[0], x1), min(box[3], y2) - max(box[1], y1)
        best = max(best, float(max(0, across) * max(0, down)) / area)
    return best


def score(entry: dict[str, Any], truths: list[dict[str, Any]], covered: np.ndarray, rows: Rows) -> None:
    """Adds one picture's truths to `rows`: (class, bucket) → [hidden, all]."""
    for truth in truths:
        if truth["iscrowd"]:
            continue
        x, y, w, h = truth["bbox"]
        window = covered[max(0, int(y)) : int(np.ceil(y + h)), max(0, int(x)) : int(np.ceil(x + w))]
        hidden = bool(window.size) and float(window.mean()) >= HIDDEN
        low, high = next(b for b in BUCKETS if b[0] <= h < b[1])
        name = "face" if truth["category_id"] == 1 else "plate"
        for key in ("all", f"{low}-{high if high < 1 << 20 else ''}", entry["subset"]):
            rows[name, key][0] += hidden
            rows[name, key][1] += 1


async def evaluate(folder: Path, policy: Policy, detection: TiledDetection, every: int) -> None:
    truth = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    by_image = defaultdict(list)
    for annotation in truth["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    rows: Rows = defaultdict(lambda: [0, 0])
    false: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    megapixels, seconds, failed = 0.0, 0.0, 0
    for entry in truth["images"][::every]:
        data = (folder / "images" / entry["file_name"]).read_bytes()
        began = time.perf_counter()
        try:
            raster = decode(inspect(data, SourceLimits(150_000_000, 65_500)))
            searched = await detection.run(raster, policy)
        except VeilError as error:
            failed += 1
            print(f"{entry['file_name']}: {error.slug}")
            continue
        seconds += time.perf_counter() - began
        megapixels += raster.width * raster.height / 1e6
        mask = build_mask(searched.detections, policy, raster.width, raster.height)
        truths = by_image[entry["id"]]
        score(entry, truths, mask.coverage(), rows)
        objects = suppress(searched.detections)
        for class_id, name in enumerate(objects.classes):
            if not entry["exhaustive"].get(name):
                continue
            known = [
                [t["bbox"][0], t["bbox"][1], t["bbox"][0] + t["bbox"][2], t["bbox"][1] + t["bbox"][3]]
                for t in truths
                if t["iscrowd"] or t["category_id"] == (1 if name == "face" else 2)
            ]
            kind = f"{name} negatives" if entry["subset"] == "negatives" else f"{name} others"
            boxes = objects.xyxy[objects.class_id == class_id]
            false[kind][0] += sum(overlap(box, known) < TOUCH for box in boxes)
            false[kind][1] += 1
    for (name, key), (hidden, total) in sorted(rows.items()):
        print(f"{name:6s} {key:24s} {hidden:5d} / {total:5d}  {hidden / total:.3f}")
    for kind, (boxes_, pictures) in sorted(false.items()):
        print(f"false boxes, {kind:18s} {boxes_ / pictures:.3f} per picture ({pictures} pictures)")
    print(
        f"{megapixels:.0f} megapixels, {seconds / megapixels:.3f} s per megapixel (decode and detect), {failed} failed"
    )


async def run(arguments: argparse.Namespace) -> None:
    environ = {"VEIL_DEFAULTS__EFFORT": arguments.effort}
    if arguments.triton:
        environ |= {"VEIL_DETECTION__ENGINE": "triton", "VEIL_DETECTION__TRITON_URL": arguments.triton}
    settings = Settings.load(environ)
    catalog = Catalog.read(settings.models.repository)
    policy = default_policy(settings, catalog)
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(2) as cpu:
        async with open_detectors(settings, catalog) as detectors:
            detection = tiled_detection(settings, detectors, cpu)
            engine = engine_name(settings)
            print(f"effort {policy.effort}, thresholds {[(c.name, c.threshold) for c in policy.classes]}, {engine}")
            await evaluate(arguments.folder, policy, detection, arguments.every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--effort", default="balanced", choices=[e.value for e in Effort])
    parser.add_argument("--triton", metavar="HOST:PORT")
    parser.add_argument("--every", type=int, default=1, help="take each n-th picture only")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
