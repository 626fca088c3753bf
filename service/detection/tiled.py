"""One picture through all models: tiles are cut, sent in batches, and their boxes come together as one `Detections`.

Fail closed: every tile is answered by every model that is asked, or the whole search is an error.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np

from service.detection.agreement import weigh
from service.detection.detector import Detector
from service.detection.gate import Gate
from service.detection.jobs import Job, plan, upright_scales
from service.detection.search import PictureSearch
from service.detection.turns import turn_of
from service.detection.versions import VersionedDetector
from service.detection.view_boxes import labels_of
from service.errors import DetectionFailed, DetectorUnavailable, VeilError
from service.imaging.arrival import rows_needed, rows_to_plan
from service.imaging.detections import Detections, concatenate
from service.imaging.projection import sphere_of
from service.imaging.raster import Raster
from service.imaging.views import Pyramid
from service.models.catalog import ModelSpec
from service.policy import Effort, Policy

MOST_CHANGES = 3
"""How often one picture is begun anew because a model's version was taken away meanwhile."""

Reached = Callable[[int], Future[None]]
"""As `Arrival.reached`: done once that many stored rows are decoded."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What was found, and by what: `tiles` counts each view once, however many models looked at it.

    `models` are the detectors that were asked and the gate, if it may have left something out.
    """

    detections: Detections
    tiles: int
    engine: str
    models: tuple[ModelSpec, ...]


class TiledDetection:
    """All detectors of a deployment.

    `overlap`: in level pixels, see `plan_views`. `concurrency`: batches of one picture that are under way at the same
    time, which bounds its memory; `batch`: most tiles of one, None for as many as the detectors take. `cpu`: pool that
    cuts tiles. `blank`: gray levels below which a tile shows nothing, see `is_blank`; 0 asks about every tile. One of
    `detectors` may be a gate, by its specification.
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
        self._all = tuple(sorted(detectors, key=lambda d: d.spec.label))
        self._detectors = tuple(d for d in self._all if not d.spec.gates)
        self._gate = next((Gate(d) for d in self._all if d.spec.gates), None)
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
        """Of each detector, the version that answers at the moment."""
        return tuple(d.serving if isinstance(d, VersionedDetector) else d.spec for d in self._detectors)

    @property
    def versions(self) -> dict[str, str]:
        """By model name, the gate's too, the version that answers at the moment."""
        specs = (*self.serving, *(() if self._gate is None else (self._gate.spec,)))
        return {spec.name: spec.version for spec in specs}

    @property
    def proven(self) -> dict[str, bool]:
        """By model name, whether it is proven to be the right one."""
        return {d.spec.name: d.proven for d in self._all if isinstance(d, VersionedDetector)}

    async def prove(self) -> None:
        """Looks at all files and golden answers anew; what is wrong is logged and refused from then on."""
        for each in self._all:
            if isinstance(each, VersionedDetector):
                await each.prove()

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class that some model knows, sorted."""
        return tuple(sorted({name for spec in self.specs for name in spec.classes}))

    def gated(self, policy: Policy) -> frozenset[str]:
        """Labels of the detectors that a search under `policy` does not ask about tiles that the gate leaves out."""
        if self._gate is None or policy.effort is Effort.THOROUGH:
            return frozenset()
        return frozenset(spec.label for spec in self.specs if self._gate.stands_before(spec, policy))

    def used(self, policy: Policy) -> tuple[ModelSpec, ...]:
        """The models that have a say in a search under `policy`."""
        known = tuple(d for d in self._detectors if set(d.spec.classes) & set(policy.class_names))
        return (*(d.spec for d in known), *self._gates_of(known, self.gated(policy)))

    async def run(
        self, raster: Raster, policy: Policy, reached: Reached | None = None, gated: frozenset[str] | None = None
    ) -> Searched:
        """Every box at or over its class's threshold, of each model that knows a class of `policy`.

        `reached`: for a raster that is still being decoded, whose tiles are cut as soon as their rows are there.
        `gated`: the answer of `gated` to another policy, to search the tiles that a search under that one does.
        A picture whose model's version is taken away meanwhile is searched anew by the one that came in its place.

        Raises DetectorUnavailable, DetectorTimeout or DetectorContractBroken as soon as one batch fails (the rest is
        cancelled), DetectionFailed if no model knows a class, and InvalidRequest if the policy's projection cannot be.
        """
        known = tuple(d for d in self._detectors if set(d.spec.classes) & set(policy.class_names))
        missing = sorted(set(policy.class_names) - {name for d in known for name in d.spec.classes})
        if missing:
            raise DetectionFailed(cause=f"no model finds {missing}")
        gated = self.gated(policy) if gated is None else gated
        asked = await _chosen(known)
        for _ in range(MOST_CHANGES):
            try:
                return await self._run(raster, policy, asked, gated, reached)
            except DetectorUnavailable:
                before, asked = asked, await _chosen(known, again=True)
                if asked == before:
                    raise
        return await self._run(raster, policy, asked, gated, reached)

    async def _run(
        self,
        raster: Raster,
        policy: Policy,
        asked: tuple[Detector, ...],
        gated: frozenset[str],
        reached: Reached | None,
    ) -> Searched:
        """As `run`, by these detectors: one version of each model for the whole picture."""
        if reached is not None:
            await asyncio.wrap_future(reached(rows_to_plan(raster)))
        sphere = await asyncio.get_running_loop().run_in_executor(self._cpu, sphere_of, raster, policy.projection)
        pyramid = Pyramid(raster)
        jobs = plan(raster, sphere, policy, asked, overlap=self._overlap, batch=self._batch)
        blank = 0 if policy.effort is Effort.THOROUGH else self._blank
        search = PictureSearch(
            pyramid, sphere, policy, asked, self._gate, gated, blank, concurrency=self._concurrency, cpu=self._cpu
        )

        async def ready(job: Job) -> None:
            if reached is not None:
                await asyncio.wrap_future(reached(max(rows_needed(view, raster) for view in job.views)))

        try:
            with turn_of(pyramid):
                found = await search.run(jobs, ready)
        except ExceptionGroup as failures:
            raise _first(failures) from failures
        together = concatenate([part for part, _, _ in found], policy.class_names, labels_of(asked))
        counts = [len(part) for part, _, _ in found]
        scale = np.repeat(np.array([scale for _, scale, _ in found], np.float32), counts)
        quarters = np.repeat(np.array([quarters for _, _, quarters in found], np.int32), counts)
        return Searched(
            weigh(together, scale, quarters, upright_scales(jobs, asked), policy).sorted(),
            tiles=sum(len(job.views) for job in jobs),
            engine=self._engine,
            models=(*(d.spec for d in asked), *self._gates_of(asked, gated)),
        )

    async def check(self) -> dict[str, VeilError | None]:
        """By model name: why it cannot serve right now, or None if it can."""
        results = await asyncio.gather(*(_failure(d) for d in self._all))
        return {d.spec.name: result for d, result in zip(self._all, results, strict=True)}

    async def close(self) -> None:
        await asyncio.gather(*(d.close() for d in self._all))

    def _gates_of(self, asked: tuple[Detector, ...], gated: frozenset[str]) -> tuple[ModelSpec, ...]:
        if self._gate is None or gated.isdisjoint(labels_of(asked)):
            return ()
        return (self._gate.spec,)


async def _chosen(detectors: Sequence[Detector], *, again: bool = False) -> tuple[Detector, ...]:
    """Of each model, the version that answers a picture."""
    return tuple([await d.choose(again=again) if isinstance(d, VersionedDetector) else d for d in detectors])


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
