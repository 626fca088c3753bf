"""The service's own search, run over annotated photographs with a model that is not released yet."""

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.app.detectors import as_computed, open_detectors
from service.app.veil import default_policy
from service.detection.tiled import TiledDetection
from service.errors import UploadRejected
from service.imaging.codec import decode
from service.imaging.fusion import suppress
from service.imaging.source import SourceLimits, inspect
from service.models.catalog import Catalog
from service.policy import Policy
from service.settings import Settings
from training.photographs import Boxes, Labels

LOWEST = 0.1
"""Boxes below this score are not looked at by anything here."""
LIMITS = SourceLimits(150_000_000, 65_500)


@dataclass(frozen=True)
class Found:
    """What was found in one photograph: every box for what a mask would cover, `objects` for what is counted."""

    labels: Labels
    boxes: Boxes
    scores: NDArray[np.float32]
    objects: Boxes
    object_scores: NDArray[np.float32]


def search(repository: Path, photographs: Iterable[Labels], effort: str = "balanced") -> Iterator[Found]:
    """Searches each photograph for plates with the models of `repository`; unreadable ones are left out.

    In 8 bits where the service would (`VEIL_DETECTION__PRECISION` of the default settings) and the models have them.
    """
    found = asyncio.run(_all(repository, list(photographs), effort))
    yield from found


async def _all(repository: Path, photographs: list[Labels], effort: str) -> list[Found]:
    settings = Settings.load({"VEIL_MODELS__REPOSITORY": str(repository), "VEIL_DEFAULTS__EFFORT": effort})
    plates = [spec for spec in Catalog.read(repository).specs if "plate" in spec.classes]
    catalog = as_computed(settings, Catalog(repository, plates))
    policy = default_policy(settings, catalog)
    low = tuple(each.model_copy(update={"threshold": LOWEST}) for each in policy.classes if each.name == "plate")
    policy = policy.model_copy(update={"classes": low})
    results = []
    with ThreadPoolExecutor(2) as cpu:
        async with open_detectors(settings, catalog) as detectors:
            detection = TiledDetection(
                detectors,
                engine="onnxruntime",
                overlap=settings.detection.overlap,
                concurrency=settings.detection.concurrency,
                cpu=cpu,
            )
            for labels in photographs:
                try:
                    results.append(await _one(labels, detection, policy))
                except UploadRejected as error:
                    print(f"{labels.id}: left out, {error.slug}")
    return results


async def _one(labels: Labels, detection: TiledDetection, policy: Policy) -> Found:
    raster = decode(inspect(labels.file.read_bytes(), LIMITS))
    boxes = (await detection.run(raster, policy)).detections.sorted()
    objects = suppress(boxes)
    return Found(labels, boxes.xyxy, boxes.score, objects.xyxy, objects.score)
