"""One picture, searched: views are cut to tiles, detectors asked about those or parts of them, answers gathered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from service.detection.detector import Detector, Tiles
from service.detection.gate import Gate, Looked, SecondLook, second_looks
from service.detection.jobs import Job
from service.detection.packing import detect
from service.detection.regions import CELL, Bools, Rectangle, mark, no_cells, rectangles, shown
from service.detection.view_boxes import Part, cut, found_in, labels_of
from service.imaging.detections import Detections
from service.imaging.sphere import Sphere
from service.imaging.sphere_views import AnyView
from service.imaging.views import Pyramid
from service.policy import Policy

T = TypeVar("T")

Ready = Callable[[Job], Awaitable[None]]
"""Returns once the pixels of a job's views are there."""


@dataclass(frozen=True, slots=True)
class PictureSearch:
    """The search of the picture of `pyramid` under `policy` by `asked`.

    `gate`: keeps parts of tiles from those of them whose labels are in `gated`; None if there is no gate. `blank`: see
    `is_blank`. `concurrency`: jobs under way at a time. `cpu`: pool that cuts tiles.
    """

    pyramid: Pyramid
    sphere: Sphere | None
    policy: Policy
    asked: tuple[Detector, ...]
    gate: Gate | None
    gated: frozenset[str]
    blank: int
    concurrency: int
    cpu: Executor

    async def run(self, jobs: Sequence[Job], ready: Ready) -> list[Part]:
        """What all views show. Raises what `Detector.detect` and `ready` raise, alone or in an ExceptionGroup."""
        found: list[Part] = [(self._nothing(), 1.0, 0)]
        looked: list[Looked] = []

        async def look(job: Job) -> None:
            await ready(job)
            looked.extend(await self._look(job, found))

        async def look_again(again: SecondLook) -> None:
            view, wanted = again
            views, tiles = await self._cut((view,))
            await self._ask(views, tiles, [(detector, cells[None]) for detector, cells in wanted], found)

        await self._each(look, jobs)
        boxes = [part for part, _, _ in found]
        loop = asyncio.get_running_loop()
        again = await loop.run_in_executor(self.cpu, second_looks, looked, boxes, labels_of(self.asked))
        await self._each(look_again, again)
        return found

    async def _each(self, look: Callable[[T], Awaitable[None]], items: Sequence[T]) -> None:
        """Looks at all of `items`, `concurrency` at a time."""
        turns = asyncio.Semaphore(self.concurrency)

        async def look_in_turn(item: T) -> None:
            async with turns:
                await look(item)

        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(look_in_turn(item))

    async def _look(self, job: Job, found: list[Part]) -> list[Looked]:
        """At the views of `job`: all of them, or where the gate sees something."""
        views, tiles = await self._cut(job.views)
        if not views:
            return []
        if self.gate is None or job.always or self.gated.isdisjoint(labels_of(job.detectors)):
            every = np.repeat(~no_cells(tiles.shape[2], tiles.shape[1])[None], len(views), axis=0)
            cells = [every] * len(job.detectors)
        else:
            cells = await self.gate.cells(tiles, job.detectors, self.gated)
        return await self._ask(views, tiles, list(zip(job.detectors, cells, strict=True)), found)

    async def _cut(self, views: Sequence[AnyView]) -> tuple[tuple[AnyView, ...], Tiles]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.cpu, cut, self.pyramid, views, self.blank)

    async def _ask(
        self, views: Sequence[AnyView], tiles: Tiles, wanted: Iterable[tuple[Detector, Bools]], found: list[Part]
    ) -> list[Looked]:
        """Asks each detector about the parts of `tiles` (N, height, width, 3) of `views` that hold its cells.

        Those are (N, rows, columns). A detector that takes tiles of one size is asked about all of a tile.
        """
        looked: list[Looked] = []
        async with asyncio.TaskGroup() as group:
            for detector, cells in wanted:
                alike: dict[Rectangle, list[int]] = {}
                for i, view in enumerate(views):
                    parts, searched = _parts(view, cells[i], any_size=detector.any_size)
                    for part in parts:
                        alike.setdefault(part, []).append(i)
                    looked.append((view, detector, searched))
                for (x1, y1, x2, y2), of in alike.items():
                    parts_of = [views[i] for i in of]
                    group.create_task(self._part(detector, parts_of, tiles[of, y1:y2, x1:x2], (x1, y1), found))
        return looked

    async def _part(
        self, detector: Detector, views: Sequence[AnyView], parts: Tiles, corner: tuple[int, int], found: list[Part]
    ) -> None:
        """Asks `detector` about `parts` (N, h, w, 3) of the tiles of `views`, which begin at their `corner`."""
        answer = (await detect(detector, parts)).moved(*corner)
        found.extend(found_in(answer, views, self.sphere, self.policy, detector.spec, self.asked))

    def _nothing(self) -> Detections:
        return Detections.empty(self.policy.class_names, labels_of(self.asked), self.sphere)


def _parts(view: AnyView, cells: Bools, *, any_size: bool) -> tuple[list[Rectangle], Bools]:
    """What of the tile of `view` is to be searched for its `cells` (rows, columns), and the cells that need no more."""
    width, height = shown(view) if any_size else (view.width, view.height)
    rows, columns = -(-height // CELL), -(-width // CELL)
    parts = rectangles(cells[:rows, :columns], width, height)
    if parts and not any_size:
        parts = [(0, 0, width, height)]
    searched = np.ones_like(cells)
    searched[:rows, :columns] = False
    mark(searched, parts, 0)
    return parts, searched
