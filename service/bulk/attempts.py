"""One picture of a run: read, anonymized, staged. What became of it is an attempt; recording it is the run's."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Any, Protocol

from service.bulk.engines import Engine, PictureFailed
from service.bulk.journal import Line
from service.bulk.selection import Item
from service.bulk.stores import Staged, Store

Ref = Callable[[str], str | None]
"""A picture's `source_ref` by its path."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """`staged`: the result that waits to be published, None after a failure. `outage`: not by the picture's fault."""

    line: Line
    staged: Staged | None = None
    outage: bool = False


class Workers(Protocol):
    """Who makes attempts, some at the same time."""

    def attempts(self, items: Sequence[Item], stopped: Callable[[], bool]) -> AsyncGenerator[Attempt]:
        """One attempt at each of `items`, in any order; once `stopped`, at no more than are under way."""


class Here:
    """Workers of this process: `jobs` tasks around one engine."""

    def __init__(self, engine: Engine, source: Store, output: Store, *, jobs: int, ref: Ref) -> None:
        self._make: Callable[[Item], Awaitable[Attempt]] = lambda item: attempt(engine, source, output, item, ref)
        self._jobs = jobs

    async def attempts(self, items: Sequence[Item], stopped: Callable[[], bool]) -> AsyncGenerator[Attempt]:
        running: set[asyncio.Future[Attempt]] = set()
        upcoming = takewhile(lambda _: not stopped(), items)

        def fill() -> None:
            running.update(
                asyncio.ensure_future(self._make(item)) for item in islice(upcoming, self._jobs - len(running))
            )

        fill()
        try:
            while running:
                finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                running.difference_update(finished)
                fill()  # nobody is idle while results are recorded
                for each in finished:
                    yield each.result()
        finally:
            for left in running:
                left.cancel()


async def attempt(
    engine: Engine, source: Store, output: Store, item: Item, ref: Ref, *, apart: bool = False
) -> Attempt:
    """Makes the result of `item` and stages it; `apart`: for another process to publish. Raises nothing expected."""
    began = time.monotonic()
    try:
        data = await asyncio.to_thread(source.read, item.source.path, engine.limit)
        made = await engine.anonymize(data, ref(item.source.path))
        del data
        staged = await asyncio.to_thread(output.stage, item.target, made.data, apart=apart)
    except PictureFailed as error:
        line = _line(item, problem=error.problem, detail=error.detail, receipt=error.receipt, seconds=_since(began))
        return Attempt(line, outage=error.outage)
    except MemoryError:
        return Attempt(_line(item, problem="memory", detail="there was not enough memory", seconds=_since(began)))
    except OSError as error:
        text = f"the file cannot be read or written: {error.strerror or type(error).__name__}"
        return Attempt(_line(item, problem="file", detail=text, seconds=_since(began)))
    sha256 = hashlib.sha256(made.data).hexdigest()
    line = _line(item, receipt=made.receipt, counts=dict(made.counts), sha256=sha256, bytes=len(made.data))
    return Attempt(replace(line, staged=staged.name, seconds=_since(began)), staged)


def refusal(item: Item, problem: str, detail: str) -> Attempt:
    """Of a picture that is not even tried."""
    return Attempt(_line(item, problem=problem, detail=detail))


def _line(item: Item, **facts: Any) -> Line:
    source = item.source
    return Line(source.path, source.size, source.stamp, item.target, **facts)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
