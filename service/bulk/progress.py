"""Progress of a run: a bar on a terminal, a line now and then in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.bulk.journal import Line
from service.bulk.run import Tally

EVERY = 30.0
"""Seconds between two lines where there is no terminal."""


class Reporter:
    """Called after each picture."""

    def __init__(self, console: Console, progress: Progress | None) -> None:
        self._console = console
        self._progress = progress
        self._task = None if progress is None else progress.add_task("anonymizing", total=None, state="")
        self._next = time.monotonic() + EVERY

    def __call__(self, tally: Tally, line: Line) -> None:
        if not line.made:
            self._console.print(f"failed: {line.path}: {line.detail or line.problem}", markup=False, soft_wrap=True)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=tally.total, completed=tally.done, state=_state(tally))
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            self._console.print(f"{tally.done} of {tally.total}, {_state(tally)}, {_left(tally)}", markup=False)


@contextmanager
def reporting(console: Console) -> Iterator[Reporter]:
    if not console.is_terminal:
        yield Reporter(console, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Reporter(progress.console, progress)


def _rate(tally: Tally) -> float:
    return (tally.made + tally.failed) / max(time.monotonic() - tally.began, 1e-3)


def _state(tally: Tally) -> str:
    failed = f", {tally.failed} failed" if tally.failed else ""
    return f"{_rate(tally):.2f} pictures/s{failed}"


def _left(tally: Tally) -> str:
    seconds = int((tally.total - tally.done) / max(_rate(tally), 1e-6))
    return f"about {seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} left"
