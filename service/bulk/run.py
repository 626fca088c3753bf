"""A run: every picture of a list once, some at the same time, each recorded before its result is seen."""

import asyncio
import hashlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from service.bulk.engines import Engine, PictureFailed
from service.bulk.journal import Journal, Line
from service.bulk.selection import Item
from service.bulk.stores import Store

OUTAGES = 3
"""Pictures in a row, for each job, that fail by an outage before the run stops rather than fail all the others."""


@dataclass
class Tally:
    """How far a run is. `already`: made by an earlier run. `stopped`: why it ended before its end."""

    total: int = 0
    already: int = 0
    made: int = 0
    bytes: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def failed(self) -> int:
        return self.failures.total()

    @property
    def done(self) -> int:
        return self.already + self.made + self.failed


class Run:
    """`progress` is called after each picture, with its line. `ref`: a picture's `source_ref` by its path."""

    def __init__(
        self,
        engine: Engine,
        source: Store,
        output: Store,
        journal: Journal,
        *,
        jobs: int,
        ref: Callable[[str], str | None] = lambda _path: None,
        progress: Callable[[Tally, Line], None] = lambda _tally, _line: None,
    ) -> None:
        self._engine = engine
        self._source = source
        self._output = output
        self._journal = journal
        self._jobs = jobs
        self._ref = ref
        self._progress = progress
        self._ask_to_stop = asyncio.Event()
        self._outages = 0
        self.tally = Tally()

    def stop(self, why: str) -> None:
        """No new picture is begun; those under way are finished."""
        self.tally.stopped = self.tally.stopped or why
        self._ask_to_stop.set()

    async def pictures(self, items: list[Item], known: dict[str, Line]) -> Tally:
        """Anonymizes each of `items` that `known`, the lines of an earlier run, does not tell to be done."""
        self.tally.total += len(items)
        waiting = await asyncio.to_thread(self._left, items, known)
        self.tally.already += len(items) - len(waiting)
        upcoming: Iterator[Item] = iter(waiting)

        async def work() -> None:
            for item in upcoming:
                if self._ask_to_stop.is_set():
                    return
                self._note(await self._one(item))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._jobs, len(waiting))):
                group.create_task(work())
        return self.tally

    def refuse(self, items: Iterable[tuple[Item, str, str]]) -> None:
        """Records pictures that are not even tried, each with a problem and a detail."""
        for item, problem, detail in items:
            self.tally.total += 1
            line = self._line(item, problem=problem, detail=detail)
            self._journal.add(line)
            self._note(line)

    def _left(self, items: list[Item], known: dict[str, Line]) -> list[Item]:
        """What is still to be made, after what an interruption left half done is put right."""
        return [item for item in items if not self._is_done(item, known.get(item.source.path))]

    def _is_done(self, item: Item, line: Line | None) -> bool:
        if line is None or not line.made or not line.of(item.source) or line.target != item.target:
            self._output.sweep(item.target)
            return False
        if line.staged is not None:
            staged = self._output.staged(item.target, line.staged, line.sha256 or "")
            if staged is not None:
                staged.publish()
                return True
        return self._output.size(item.target) == line.bytes

    async def _one(self, item: Item) -> Line:
        began = time.monotonic()
        try:
            data = await asyncio.to_thread(self._source.read, item.source.path, self._engine.limit)
            made = await self._engine.anonymize(data, self._ref(item.source.path))
            del data
            line = self._line(item, receipt=made.receipt, counts=dict(made.counts))
            return await asyncio.to_thread(self._finish, item, line, made.data, began)
        except PictureFailed as error:
            self._outages = self._outages + 1 if error.outage else 0
            if self._outages >= OUTAGES * self._jobs:
                self.stop(error.detail)
            line = self._line(
                item, problem=error.problem, detail=error.detail, receipt=error.receipt, seconds=_since(began)
            )
        except MemoryError:
            line = self._line(item, problem="memory", detail="there was not enough memory", seconds=_since(began))
        except OSError as error:
            text = f"the file cannot be read or written: {error.strerror or type(error).__name__}"
            line = self._line(item, problem="file", detail=text, seconds=_since(began))
        await asyncio.to_thread(self._journal.add, line)
        return line

    def _finish(self, item: Item, line: Line, data: bytes, began: float) -> Line:
        """Staged, recorded, published: in this order."""
        staged = self._output.stage(item.target, data)
        self._outages = 0
        sha256 = hashlib.sha256(data).hexdigest()
        line = replace(line, sha256=sha256, bytes=len(data), staged=staged.name, seconds=_since(began))
        self._journal.add(line)
        staged.publish()
        return line

    def _note(self, line: Line) -> None:
        if line.made:
            self.tally.made += 1
            self.tally.bytes += line.bytes or 0
        else:
            self.tally.failures[line.problem] += 1
        self._progress(self.tally, line)

    def _line(self, item: Item, **facts: Any) -> Line:
        source = item.source
        return Line(source.path, source.size, source.stamp, item.target, **facts)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


@contextmanager
def stopping(stop: Callable[[str], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call `stop`, which lets what is under way finish; a second one ends the process as usual."""
    loop = asyncio.get_running_loop()

    def stopped(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        stop(f"interrupted by {number.name}")

    kinds = (signal.SIGINT, signal.SIGTERM)
    for number in kinds:
        loop.add_signal_handler(number, stopped, number)
    try:
        yield
    finally:
        for number in kinds:
            loop.remove_signal_handler(number)
