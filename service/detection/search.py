"""One picture, searched: views are cut to tiles, detectors asked about those or parts of them, answers gathered.

What a detector finds in a part depends a little on what lies beside it on the sheet. So that equal pictures get equal
answers, sheets are laid out by the order of views, whoever is answered first: group by group, while the next ones are
looked at.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from service.detection.agreement import floor
from service.detection.detector import Detector, Tiles
from service.detection.gate import Gate, Looked, SecondLook, second_looks
from service.detection.jobs import Job
from service.detection.regions import Bools, mark, no_cells, rectangles
from service.detection.sheets import Patch, Sheet, Sheets
from service.detection.view_boxes import Part, cut, found_in, labels_of
from service.imaging.detections import Detections
from service.imaging.sphere import Sphere
from service.imaging.sphere_views import AnyView
from service.imaging.views import Pyramid
from service.policy import Policy

GROUP = 16
"""Jobs whose parts are laid out together. Two such groups are under way at a time, which bounds how many parts wait."""

T = TypeVar("T")

Ready = Callable[[Job], Awaitable[None]]
"""Returns once the pixels of a job's views are there."""

Gathered = tuple[Looked, list[Patch]]
"""What was looked at in parts, and those parts, which are still to be asked about."""


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

        async def look(job: Job) -> list[Gathered]:
            await ready(job)
            return await self._look(job, found)

        async def look_again(again: SecondLook) -> list[Gathered]:
            return await self._look_again(again, found)

        looked = await self._each(look, jobs, found)
        boxes = [part for part, _, _ in found]
        loop = asyncio.get_running_loop()
        again = await loop.run_in_executor(self.cpu, second_looks, looked, boxes, labels_of(self.asked))
        await self._each(look_again, again, found)
        return found

    async def _each(
        self, look: Callable[[T], Awaitable[list[Gathered]]], items: Sequence[T], found: list[Part]
    ) -> list[Looked]:
        """Looks at each of `items`, and asks about the parts that it leaves to be asked about."""
        waiting = {d.spec.label: Sheets(d.spec.tile_width, d.spec.tile_height) for d in self.asked}
        looked: list[Looked] = []
        looking, asking = asyncio.Semaphore(self.concurrency), asyncio.Semaphore(self.concurrency)

        async def look_in_turn(item: T) -> list[Gathered]:
            async with looking:
                return await look(item)

        async def ask_in_turn(detector: Detector, sheet: Sheet) -> None:
            async with asking:
                await self._sheet(detector, sheet, found)

        async with asyncio.TaskGroup() as group:

            def begin(items: Sequence[T]) -> list[asyncio.Task[list[Gathered]]]:
                return [group.create_task(look_in_turn(item)) for item in items]

            def ask(sheets_of: Callable[[Sheets], list[Sheet]]) -> list[asyncio.Task[None]]:
                sheets = [(d, sheet) for d in self.asked for sheet in sheets_of(waiting[d.spec.label])]
                return [group.create_task(ask_in_turn(*each)) for each in sheets]

            questions: list[asyncio.Task[None]] = []
            ahead = begin(items[:GROUP])
            for end in range(GROUP, len(items) + GROUP, GROUP):
                # The next group is begun before this one is through, so that no processor waits for its last tile.
                of_group, ahead = ahead, begin(items[end : end + GROUP])
                for gathered, patches in [each for task in of_group for each in await task]:
                    looked.append(gathered)
                    waiting[gathered[1].spec.label].add(patches)
                for task in questions:
                    await task
                questions = ask(Sheets.full)
            ask(Sheets.rest)
        return looked

    async def _look(self, job: Job, found: list[Part]) -> list[Gathered]:
        """At the views of `job`: whole, or where the gate sees something."""
        views, tiles = await self._cut(job.views)
        if not views:
            return []
        if self.gate is None or job.always or self.gated.isdisjoint(labels_of(job.detectors)):
            every = np.repeat(~no_cells(tiles.shape[2], tiles.shape[1])[None], len(views), axis=0)
            cells = [every] * len(job.detectors)
        else:
            cells = await self.gate.cells(views, tiles, job.detectors, self.gated)
        return await self._ask(views, tiles, list(zip(job.detectors, cells, strict=True)), found)

    async def _look_again(self, again: SecondLook, found: list[Part]) -> list[Gathered]:
        view, wanted = again
        views, tiles = await self._cut((view,))
        return await self._ask(views, tiles, [(detector, cells[None]) for detector, cells in wanted], found)

    async def _cut(self, views: Sequence[AnyView]) -> tuple[tuple[AnyView, ...], Tiles]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.cpu, cut, self.pyramid, views, self.blank)

    async def _ask(
        self,
        views: Sequence[AnyView],
        tiles: Tiles,
        wanted: Iterable[tuple[Detector, Bools]],
        found: list[Part],
    ) -> list[Gathered]:
        """Asks each detector about those `tiles` (N, height, width, 3) of `views` that are to be searched whole.

        By its cells (N, rows, columns). Returns the parts of the others, and tiles smaller than the detector's as such.
        """
        gathered: list[Gathered] = []
        height, width = tiles.shape[1:3]
        async with asyncio.TaskGroup() as group:
            for detector, cells in wanted:
                whole = []
                own = (0, 0, detector.spec.tile_width, detector.spec.tile_height)
                for i, view in enumerate(views):
                    parts = rectangles(cells[i], width, height)
                    if parts == [own]:
                        whole.append(i)
                        continue
                    patches = [Patch(view, x1, y1, tiles[i, y1:y2, x1:x2].copy()) for x1, y1, x2, y2 in parts]
                    searched = no_cells(width, height)
                    mark(searched, parts, 0)
                    gathered.append(((view, detector, searched), patches))
                if whole:
                    group.create_task(self._whole(detector, [views[i] for i in whole], tiles[whole], found))
        return gathered

    async def _whole(self, detector: Detector, views: Sequence[AnyView], tiles: Tiles, found: list[Part]) -> None:
        answer = await detector.detect(tiles)
        found.extend(found_in(answer, views, self.sphere, self.policy, detector.spec, self.asked))

    async def _sheet(self, detector: Detector, sheet: Sheet, found: list[Part]) -> None:
        answer = await detector.detect(sheet.tile())
        least = min(map(floor, detector.spec.class_policies()))
        if answer.scores[0, -1] >= least and len(sheet.patches) > 1:
            # No room for more in the answer, which is made for one tile: none of its parts may go short.
            for half in sheet.halves():
                await self._sheet(detector, half, found)
            return
        found.extend(found_in(sheet.answers(answer), sheet.views, self.sphere, self.policy, detector.spec, self.asked))

    def _nothing(self) -> Detections:
        return Detections.empty(self.policy.class_names, labels_of(self.asked), self.sphere)
