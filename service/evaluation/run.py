"""The run over a set: each picture through the real pipeline as far as the mask, once, at a low threshold.

What a higher threshold would have given follows from the scores, so one search serves the policy's own thresholds and
the whole curve.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from service import __version__
from service.api.services import OptionRules
from service.app.detectors import engine_name, open_detectors, read_catalog, tiled_detection
from service.app.veil import default_policy
from service.bulk.opening import policy_of, split
from service.detection.tiled import TiledDetection
from service.errors import UploadRejected
from service.evaluation import summary
from service.evaluation.counting import count
from service.evaluation.coverage import HIDDEN, STRICT, ScoreMap, coverage
from service.evaluation.dataset import Dataset, DatasetError, Picture
from service.evaluation.report import (
    ClassUsed,
    CountResult,
    Failure,
    ModelUsed,
    ObjectResult,
    PictureResult,
    Report,
    Setup,
)
from service.imaging.codec import decode
from service.imaging.detections import Detections
from service.imaging.masking import build_mask
from service.imaging.raster import Raster
from service.imaging.source import SourceLimits, inspect
from service.policy import Policy
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What pictures are measured with."""

    settings: Settings
    detection: TiledDetection
    policy: Policy


@asynccontextmanager
async def open_pipeline(settings: Settings, options: list[str]) -> AsyncIterator[Pipeline]:
    """The detectors and the policy of `settings`, with `options` (`name=value`, as in the API). No database is opened.

    Raises StartError and InvalidRequest as the service does.
    """
    cv2.setNumThreads(1)
    catalog = read_catalog(settings)
    rules = OptionRules(defaults=default_policy(settings, catalog), allow_exclude=False)
    policy, _ = policy_of(split(options), rules)
    with ThreadPoolExecutor(1, thread_name_prefix="image") as cpu:
        async with open_detectors(settings, catalog) as detectors:
            yield Pipeline(settings, tiled_detection(settings, detectors, cpu), policy)


async def evaluate(
    pipeline: Pipeline,
    dataset: Dataset,
    *,
    every: int,
    subsets: tuple[str, ...],
    lowest: float,
    step: Callable[[], None],
) -> Report:
    """The report on `dataset`, of which `every` and `subsets` say how it was sampled.

    `lowest`: where the curve begins. `step` is called after each picture. A picture that cannot be read or is not
    annotated at its own size is listed as failed and counts in no figure. Raises DetectionFailed, for a detector that
    fails would fail on all that follow, and DatasetError if no class of the set is one of the policy's.
    """
    policy = pipeline.policy
    classes = tuple(name for name in policy.class_names if name in dataset.classes)
    if not classes:
        raise DatasetError(f"the set has {', '.join(dataset.classes)}, the policy {', '.join(policy.class_names)}")
    results: list[PictureResult] = []
    failures: list[Failure] = []
    pixels, began = 0, time.perf_counter()
    for picture in dataset.pictures:
        try:
            raster = await asyncio.to_thread(open_picture, picture, pipeline.settings)
        except (OSError, UploadRejected, DatasetError) as error:
            failures.append(Failure(id=picture.id, problem=_said(error)))
        else:
            found = await search(pipeline, raster, lowest)
            results.append(await asyncio.to_thread(measure, picture, found, policy, classes))
            pixels += raster.width * raster.height
        step()
    return Report(
        setup=_setup(pipeline, dataset, classes, every, subsets),
        megapixels=round(pixels / 1e6, 1),
        seconds=round(time.perf_counter() - began, 1),
        failures=tuple(failures),
        recall=tuple(summary.recall_rows(results, classes)),
        false=tuple(summary.false_rows(results, classes)),
        curve=tuple(summary.curve(results, classes, lowest)),
        pictures=tuple(results),
    )


def open_picture(picture: Picture, settings: Settings) -> Raster:
    """The picture as the service would decode it.

    Raises OSError, UploadRejected, and DatasetError if it is not of the size that was annotated.
    """
    limits = SourceLimits(settings.limits.max_pixels, settings.limits.max_side)
    raster = decode(inspect(picture.file.read_bytes(), limits))
    if (raster.width, raster.height) != (picture.width, picture.height):
        raise DatasetError(
            f"annotated at {picture.width} × {picture.height} pixels; upright it has {raster.width} × {raster.height}"
        )
    return raster


async def search(pipeline: Pipeline, raster: Raster, lowest: float) -> Detections:
    """Everything that scores `lowest` or the policy's own threshold, whichever is less. Raises DetectionFailed."""
    classes = tuple(
        each.model_copy(update={"threshold": min(lowest, each.threshold)}) for each in pipeline.policy.classes
    )
    detection, policy = pipeline.detection, pipeline.policy
    lowered = policy.model_copy(update={"classes": classes})
    # The tiles that the policy itself would have searched, or the gate would not be evaluated.
    searched = await detection.run(raster, lowered, gated=detection.gated(policy))
    return searched.detections


def measure(picture: Picture, found: Detections, policy: Policy, classes: tuple[str, ...]) -> PictureResult:
    """What `found`, everything at or over the search's low threshold, says of one picture."""
    kept = at_threshold(found, policy)
    mask = build_mask(kept, policy, picture.width, picture.height)
    scores = ScoreMap(found, policy, picture.width, picture.height)
    objects = tuple(
        ObjectResult(
            class_name=truth.class_name,
            box=truth.xyxy,
            coverage=coverage(mask, truth.xyxy),
            up_to=scores.hidden_up_to(truth, HIDDEN),
            strict_up_to=scores.hidden_up_to(truth, STRICT),
        )
        for truth in picture.truths
        if truth.class_name in classes and truth.class_name in picture.annotated and not truth.ignored
    )
    counts = tuple(_counts(picture, found, kept, name) for name in classes if name in picture.exhaustive)
    return PictureResult(id=picture.id, subset=picture.subset, objects=objects, counts=counts)


def at_threshold(found: Detections, policy: Policy) -> Detections:
    """Those of `found` that the policy's own thresholds keep, compared in float32 as the search does."""
    least = np.array([policy.of(name).threshold for name in found.classes], np.float32)
    return found.take(found.score >= least[found.class_id])


def _counts(picture: Picture, found: Detections, kept: Detections, class_name: str) -> CountResult:
    truths = picture.of(class_name)
    at_policy = count(kept, class_name, truths)
    curve = (count(found.take(found.score >= np.float32(t)), class_name, truths) for t in summary.CURVE)
    return CountResult(
        class_name=class_name,
        true=at_policy.true,
        false=len(at_policy.false),
        curve=tuple(len(each.false) for each in curve),
    )


def _setup(
    pipeline: Pipeline, dataset: Dataset, classes: tuple[str, ...], every: int, subsets: tuple[str, ...]
) -> Setup:
    policy = pipeline.policy
    used = pipeline.detection.used(policy)
    return Setup(
        veil=__version__,
        engine=engine_name(pipeline.settings),
        effort=policy.effort.value,
        policy_digest=policy.digest,
        models=tuple(ModelUsed(label=spec.label, sha256=spec.sha256) for spec in used),
        classes=tuple(
            ClassUsed(name=name, threshold=policy.of(name).threshold, margin=policy.of(name).margin) for name in classes
        ),
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        every=every,
        subsets=subsets,
    )


def _said(error: OSError | UploadRejected | DatasetError) -> str:
    """Why a picture failed, without its file's name."""
    if isinstance(error, OSError):
        return error.strerror or "the file cannot be read"
    return error.detail if isinstance(error, UploadRejected) else str(error)
