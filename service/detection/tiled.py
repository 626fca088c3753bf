"""One picture through all models: tiles are cut, sent in batches, and their boxes come together as one `Detections`.

Fail closed: every tile is answered by every model that is asked, or the whole search is an error.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from service.detection.agreement import floor, weigh
from service.detection.detector import Detector, TileBoxes, Tiles
from service.errors import DetectionFailed, VeilError
from service.imaging.detections import Detections, concatenate
from service.imaging.raster import Raster
from service.imaging.views import Pyramid, View, plan_views, to_picture
from service.models.catalog import ModelSpec
from service.observability.logs import get_logger
from service.policy import Policy

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Searched:
    """What was found, and by what: `tiles` counts each view once, however many models looked at it."""

    detections: Detections
    tiles: int
    engine: str
    models: tuple[ModelSpec, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """Views that are cut together and sent to every detector of their tile size."""

    views: tuple[View, ...]
    detectors: tuple[Detector, ...]


class TiledDetection:
    """All detectors of a deployment.

    `overlap`: in level pixels, see `plan_views`. `concurrency`: batches of one picture that are under way at the same
    time, which bounds its memory. `cpu`: pool that cuts tiles.
    """

    def __init__(
        self, detectors: Sequence[Detector], *, engine: str, overlap: int, concurrency: int, cpu: Executor
    ) -> None:
        self._detectors = tuple(sorted(detectors, key=lambda d: d.spec.label))
        self._engine = engine
        self._overlap = overlap
        self._concurrency = concurrency
        self._cpu = cpu

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        return tuple(d.spec for d in self._detectors)

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class that some model knows, sorted."""
        return tuple(sorted({name for spec in self.specs for name in spec.classes}))

    async def run(self, raster: Raster, policy: Policy) -> Searched:
        """Every box at or over its class's threshold, of each model that knows a class of `policy`.

        Raises DetectorUnavailable, DetectorTimeout or DetectorContractBroken as soon as one batch fails (the rest is
        cancelled), and DetectionFailed if no model knows a class.
        """
        asked = tuple(d for d in self._detectors if set(d.spec.classes) & set(policy.class_names))
        missing = sorted(set(policy.class_names) - {name for d in asked for name in d.spec.classes})
        if missing:
            raise DetectionFailed(cause=f"no model finds {missing}")
        pyramid = Pyramid(raster)
        jobs = self._plan(raster, policy, asked)
        found: list[tuple[Detections, float]] = []
        waiting = iter(jobs)

        async def work() -> None:
            for job in waiting:
                found.extend(await self._search(job, pyramid, policy, asked))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(jobs))):
                    group.create_task(work())
        except ExceptionGroup as failures:
            raise _first(failures) from failures
        together = concatenate([part for part, _ in found], policy.class_names, _labels(asked))
        scale = np.repeat(np.array([scale for _, scale in found], np.float32), [len(part) for part, _ in found])
        return Searched(
            weigh(together, scale, _scales(jobs, asked), policy).sorted(),
            tiles=sum(len(job.views) for job in jobs),
            engine=self._engine,
            models=tuple(d.spec for d in asked),
        )

    async def check(self) -> dict[str, VeilError | None]:
        """By model name: why it cannot serve right now, or None if it can."""
        results = await asyncio.gather(*(_failure(d) for d in self._detectors))
        return {d.spec.name: result for d, result in zip(self._detectors, results, strict=True)}

    async def close(self) -> None:
        await asyncio.gather(*(d.close() for d in self._detectors))

    def _plan(self, raster: Raster, policy: Policy, asked: Sequence[Detector]) -> list[_Job]:
        """The views of each tile size, in batches that every detector of that size takes."""
        by_size: dict[tuple[int, int], list[Detector]] = {}
        for detector in asked:
            by_size.setdefault((detector.spec.tile_width, detector.spec.tile_height), []).append(detector)
        jobs: list[_Job] = []
        for (width, height), detectors in by_size.items():
            views = plan_views(
                raster.width,
                raster.height,
                tile_width=width,
                tile_height=height,
                overlap=self._overlap,
                effort=policy.effort,
            )
            size = min(d.max_batch for d in detectors)
            jobs.extend(_Job(views[i : i + size], tuple(detectors)) for i in range(0, len(views), size))
        return jobs

    async def _search(
        self, job: _Job, pyramid: Pyramid, policy: Policy, asked: tuple[Detector, ...]
    ) -> list[tuple[Detections, float]]:
        tiles = await asyncio.get_running_loop().run_in_executor(self._cpu, _cut, pyramid, job.views)
        answers = await _all(job.detectors, tiles)
        return [
            part
            for detector, answer in zip(job.detectors, answers, strict=True)
            for part in _found(answer, job.views, policy, detector.spec, asked)
        ]


def _cut(pyramid: Pyramid, views: Sequence[View]) -> Tiles:
    """(N, height, width, 3) uint8 RGB."""
    return np.stack([pyramid.tile(view) for view in views])


async def _all(detectors: Sequence[Detector], tiles: Tiles) -> list[TileBoxes]:
    """Every detector's answer for the same tiles; the first failure cancels the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(detector.detect(tiles)) for detector in detectors]
    return [task.result() for task in tasks]


def _found(
    answer: TileBoxes, views: Sequence[View], policy: Policy, spec: ModelSpec, asked: tuple[Detector, ...]
) -> Iterator[tuple[Detections, float]]:
    """For each view and class of `policy`: the boxes that can matter, in upright pixels, and the view's scale."""
    model = _labels(asked).index(spec.label)
    classes = policy.class_names
    for i, view in enumerate(views):
        # float32 on both sides: a score that prints as the threshold is at the threshold.
        for known, name in enumerate(spec.classes):
            if name not in classes:
                continue
            scores = answer.scores[i]
            keep = (scores > 0) & (scores >= floor(policy.of(name)))
            if keep[-1] and scores[-1] >= np.float32(policy.of(name).threshold):
                # Not an error: where objects are that dense, finer levels see fewer of them in a tile.
                logger.warning("tile-full", model=spec.label)
            if answer.labels is not None:
                keep &= answer.labels[i] == known
            xyxy = to_picture(answer.boxes[i][keep], view)
            inside = (xyxy[:, 0] < xyxy[:, 2]) & (xyxy[:, 1] < xyxy[:, 3])
            count = int(inside.sum())
            if count:
                part = Detections(
                    xyxy[inside],
                    scores[keep][inside],
                    np.full(count, classes.index(name), np.int32),
                    np.full(count, model, np.int32),
                    classes,
                    _labels(asked),
                )
                yield part, view.scale


def _scales(jobs: Sequence[_Job], asked: Sequence[Detector]) -> dict[int, frozenset[float]]:
    """By model id: every scale that the model has searched."""
    return {
        model: frozenset(view.scale for job in jobs if detector in job.detectors for view in job.views)
        for model, detector in enumerate(asked)
    }


def _labels(detectors: Sequence[Detector]) -> tuple[str, ...]:
    return tuple(d.spec.label for d in detectors)


async def _failure(detector: Detector) -> VeilError | None:
    try:
        await detector.check()
    except VeilError as error:
        return error
    return None


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that ended it; groups within groups are one per nested TaskGroup."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
