"""One picture through all models: tiles are cut, sent in batches, and their boxes come together as one `Detections`.

Fail closed: every tile is answered by every model that is asked, or the whole search is an error.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np

from service.detection.agreement import floor, weigh
from service.detection.detector import Detector, TileBoxes, Tiles
from service.detection.jobs import Job, plan, quarters_of, scale_of, upright_scales
from service.detection.turns import turn_of
from service.detection.versions import VersionedDetector
from service.errors import DetectionFailed, DetectorUnavailable, VeilError
from service.imaging.arrival import rows_needed, rows_to_plan
from service.imaging.blank import is_blank
from service.imaging.detections import Detections, concatenate
from service.imaging.perspective import perspective_tile
from service.imaging.projection import sphere_of
from service.imaging.raster import Raster
from service.imaging.sphere import Sphere
from service.imaging.sphere_views import AnyView, in_picture
from service.imaging.views import Pyramid, View
from service.models.catalog import ModelSpec
from service.observability.logs import get_logger
from service.policy import Effort, Policy

logger = get_logger(__name__)

MOST_CHANGES = 3
"""How often one picture is begun anew because a model's version was taken away meanwhile."""

Reached = Callable[[int], Future[None]]
"""As `Arrival.reached`: done once that many stored rows are decoded."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What was found, and by what: `tiles` counts each view once, however many models looked at it."""

    detections: Detections
    tiles: int
    engine: str
    models: tuple[ModelSpec, ...]


_Part = tuple[Detections, float, int]
"""What one view shows of one class, the view's scale, and the quarters by which it is turned."""


class TiledDetection:
    """All detectors of a deployment.

    `overlap`: in level pixels, see `plan_views`. `concurrency`: batches of one picture that are under way at the same
    time, which bounds its memory; `batch`: most tiles of one, None for as many as the detectors take. `cpu`: pool that
    cuts tiles. `blank`: gray levels below which a tile shows nothing, see `is_blank`; 0 asks about every tile.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        *,
        engine: str,
        overlap: int,
        concurrency: int,
        cpu: Executor,
        batch: int | None = None,
        blank: int = 0,
    ) -> None:
        self._detectors = tuple(sorted(detectors, key=lambda d: d.spec.label))
        self._engine = engine
        self._overlap = overlap
        self._concurrency = concurrency
        self._batch = batch
        self._blank = blank
        self._cpu = cpu

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        return tuple(d.spec for d in self._detectors)

    @property
    def serving(self) -> tuple[ModelSpec, ...]:
        """Of each model, the version that answers at the moment."""
        return tuple(d.serving if isinstance(d, VersionedDetector) else d.spec for d in self._detectors)

    @property
    def proven(self) -> dict[str, bool]:
        """By model name, whether it is proven to be the right one."""
        return {d.spec.name: d.proven for d in self._detectors if isinstance(d, VersionedDetector)}

    async def prove(self) -> None:
        """Looks at all files and golden answers anew; what is wrong is logged and refused from then on."""
        for each in self._detectors:
            if isinstance(each, VersionedDetector):
                await each.prove()

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class that some model knows, sorted."""
        return tuple(sorted({name for spec in self.specs for name in spec.classes}))

    async def run(self, raster: Raster, policy: Policy, reached: Reached | None = None) -> Searched:
        """Every box at or over its class's threshold, of each model that knows a class of `policy`.

        `reached`: for a raster that is still being decoded, whose tiles are cut as soon as their rows are there.
        A picture whose model's version is taken away meanwhile is searched anew by the one that came in its place.

        Raises DetectorUnavailable, DetectorTimeout or DetectorContractBroken as soon as one batch fails (the rest is
        cancelled), DetectionFailed if no model knows a class, and InvalidRequest if the policy's projection cannot be.
        """
        known = tuple(d for d in self._detectors if set(d.spec.classes) & set(policy.class_names))
        missing = sorted(set(policy.class_names) - {name for d in known for name in d.spec.classes})
        if missing:
            raise DetectionFailed(cause=f"no model finds {missing}")
        asked = await _chosen(known)
        for _ in range(MOST_CHANGES):
            try:
                return await self._run(raster, policy, asked, reached)
            except DetectorUnavailable:
                before, asked = asked, await _chosen(known, again=True)
                if asked == before:
                    raise
        return await self._run(raster, policy, asked, reached)

    async def _run(
        self, raster: Raster, policy: Policy, asked: tuple[Detector, ...], reached: Reached | None
    ) -> Searched:
        """As `run`, by these detectors: one version of each model for the whole picture."""
        if reached is not None:
            await asyncio.wrap_future(reached(rows_to_plan(raster)))
        sphere = await asyncio.get_running_loop().run_in_executor(self._cpu, sphere_of, raster, policy.projection)
        pyramid = Pyramid(raster)
        jobs = plan(raster, sphere, policy, asked, overlap=self._overlap, batch=self._batch)
        nothing = Detections.empty(policy.class_names, _labels(asked), sphere)
        found: list[_Part] = [(nothing, 1.0, 0)]
        waiting = iter(jobs)

        async def work() -> None:
            for job in waiting:
                if reached is not None:
                    await asyncio.wrap_future(reached(max(rows_needed(view, raster) for view in job.views)))
                found.extend(await self._search(job, pyramid, sphere, policy, asked))

        try:
            with turn_of(pyramid):
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._concurrency, len(jobs))):
                        group.create_task(work())
        except ExceptionGroup as failures:
            raise _first(failures) from failures
        together = concatenate([part for part, _, _ in found], policy.class_names, _labels(asked))
        counts = [len(part) for part, _, _ in found]
        scale = np.repeat(np.array([scale for _, scale, _ in found], np.float32), counts)
        quarters = np.repeat(np.array([quarters for _, _, quarters in found], np.int32), counts)
        return Searched(
            weigh(together, scale, quarters, upright_scales(jobs, asked), policy).sorted(),
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

    async def _search(
        self, job: Job, pyramid: Pyramid, sphere: Sphere | None, policy: Policy, asked: tuple[Detector, ...]
    ) -> list[_Part]:
        limit = 0 if policy.effort is Effort.THOROUGH else self._blank
        views, tiles = await asyncio.get_running_loop().run_in_executor(self._cpu, _cut, pyramid, job.views, limit)
        if not views:
            return []
        answers = await _all(job.detectors, tiles)
        return [
            part
            for detector, answer in zip(job.detectors, answers, strict=True)
            for part in _found(answer, views, sphere, policy, detector.spec, asked)
        ]


async def _chosen(detectors: Sequence[Detector], *, again: bool = False) -> tuple[Detector, ...]:
    """Of each model, the version that answers a picture."""
    return tuple([await d.choose(again=again) if isinstance(d, VersionedDetector) else d for d in detectors])


def _cut(pyramid: Pyramid, views: Sequence[AnyView], limit: int) -> tuple[tuple[AnyView, ...], Tiles]:
    """Those of `views` that are not blank, and their tiles: (N, height, width, 3) uint8 RGB."""
    cut = [(v, pyramid.tile(v) if isinstance(v, View) else perspective_tile(pyramid, v)) for v in views]
    shown = [(view, tile) for view, tile in cut if not is_blank(tile, limit)]
    if not shown:
        return (), np.empty((0, 0, 0, 3), np.uint8)
    return tuple(view for view, _ in shown), np.stack([tile for _, tile in shown])


async def _all(detectors: Sequence[Detector], tiles: Tiles) -> list[TileBoxes]:
    """Every detector's answer for the same tiles; the first failure cancels the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(detector.detect(tiles)) for detector in detectors]
    return [task.result() for task in tasks]


def _found(
    answer: TileBoxes,
    views: Sequence[AnyView],
    sphere: Sphere | None,
    policy: Policy,
    spec: ModelSpec,
    asked: tuple[Detector, ...],
) -> Iterator[_Part]:
    """For each view and class of `policy`: the boxes that can matter, in upright pixels."""
    model = _labels(asked).index(spec.label)
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
                    _labels(asked),
                    sphere,
                    None if curved is None else curved[inside],
                )
                yield part, scale_of(view), quarters_of(view)


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
