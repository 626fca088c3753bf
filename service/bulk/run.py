"""A run: every picture of a list once, some at the same time, each recorded before its result is seen."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

from service.bulk.attempts import Attempt, Workers
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
    """`progress` is called after each picture, with its line."""

    def __init__(
        self,
        output: Store,
        journal: Journal,
        *,
        jobs: int,
        progress: Callable[[Tally, Line], None] = lambda _tally, _line: None,
    ) -> None:
        self._output = output
        self._journal = journal
        self._jobs = jobs
        self._progress = progress
        self._outages = 0
        self.tally = Tally()

    def stop(self, why: str) -> None:
        """No new picture is begun; those under way are finished."""
        self.tally.stopped = self.tally.stopped or why

    async def pictures(self, items: list[Item], known: dict[str, Line], workers: Workers) -> Tally:
        """`workers` anonymize each of `items` that `known`, the lines of an earlier run, does not tell to be done."""
        self.tally.total += len(items)
        waiting = await asyncio.to_thread(self._left, items, known)
        self.tally.already += len(items) - len(waiting)
        async with aclosing(workers.attempts(waiting, lambda: bool(self.tally.stopped))) as attempts:
            async for each in attempts:
                await self._settle(each)
        return self.tally

    async def refuse(self, refusals: Iterable[Attempt]) -> None:
        """Records pictures that are not even tried."""
        for each in refusals:
            self.tally.total += 1
            await self._settle(each)

    def _left(self, items: list[Item], known: dict[str, Line]) -> list[Item]:
        """What is still to be made, after what an interruption left half done is put right."""
        return [item for item in items if not self._is_done(item, known.get(item.source.path))]

    def _is_done(self, item: Item, line: Line | None) -> bool:
        if line is None or not line.made or not line.of(item.source) or line.target != item.target:
            self._output.sweep(item.target)
            return False
        if line.staged is not None:
            staged = self._output.staged(item.target, line.staged, line.sha256)
            if staged is not None:
                staged.publish()
                return True
        return self._output.size(item.target) == line.bytes

    async def _settle(self, attempt: Attempt) -> None:
        """Records `attempt`, and publishes its result."""
        line = attempt.line
        try:
            await asyncio.to_thread(self._record, attempt)
        except OSError as error:
            text = f"the file cannot be read or written: {error.strerror or type(error).__name__}"
            line = replace(line, problem="file", detail=text, staged=None, sha256=None, bytes=None, counts={})
            await asyncio.to_thread(self._journal.add, line)
        self._outages = self._outages + 1 if attempt.outage else 0
        if self._outages >= OUTAGES * self._jobs:
            self.stop(line.detail)
        if line.made:
            self.tally.made += 1
            self.tally.bytes += line.bytes or 0
        else:
            self.tally.failures[line.problem] += 1
        self._progress(self.tally, line)

    def _record(self, attempt: Attempt) -> None:
        """The record first: a result without one would be made again, or be in the way of the next run."""
        self._journal.add(attempt.line)
        if attempt.staged is not None:
            attempt.staged.publish()


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
