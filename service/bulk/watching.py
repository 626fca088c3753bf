"""`veil watch`: pictures of a hand-over folder, as they come, for as long as the process lives."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from service.app.failure import StartError
from service.bulk.engines import PictureFailed
from service.bulk.handover import STATE, Claims, Settling, claims
from service.bulk.opening import Opened, ServerGiven, open_engine
from service.bulk.run import stopping
from service.bulk.selection import Item, Selection, plan
from service.bulk.stores import Entry, Folder
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched. `originals`: where they go once their result is there; None: they are deleted.

    `settle`: seconds without a change after which a file is complete. `interval`: seconds between two looks.
    """

    input: Path
    output: Path
    originals: Path | None
    options: tuple[str, ...] = ()
    selection: Selection = field(default_factory=Selection)
    servers: ServerGiven | None = None
    jobs: int = 2
    settle: float = 5.0
    interval: float = 1.0
    refs: bool = False

    @property
    def failed(self) -> Path:
        """Where pictures go that cannot be anonymized, each with a note why."""
        return self.input / STATE / "failed"

    def check(self) -> None:
        if not self.input.is_dir():
            raise StartError(f"{self.input} is no folder.")
        roots = [self.input.resolve(), self.output.resolve()]
        roots += [] if self.originals is None else [self.originals.resolve()]
        for i, one in enumerate(roots):
            for other in roots[i + 1 :]:
                if one == other or one in other.parents or other in one.parents:
                    raise StartError("Input, output and the folder of originals must not lie in one another.")


class Watcher:
    """`say` gets a line for each picture."""

    def __init__(self, watch: Watch, opened: Opened, mine: Claims, say: Callable[[str], None]) -> None:
        self._watch = watch
        self._opened = opened
        self._mine = mine
        self._say = say
        self._output = Folder(watch.output)
        self._ends = asyncio.Event()

    def stop(self, why: str) -> None:
        self._say(f"{why}; what is under way is finished")
        self._ends.set()

    async def run(self) -> None:
        """Until it is stopped."""
        settling = Settling(self._watch.settle)
        folder = Folder(self._watch.input)
        waiting = await asyncio.to_thread(self._mine.left)
        running: dict[asyncio.Task[bool], str] = {}
        pause = 0.0
        while not self._ends.is_set() or running:
            if not self._ends.is_set() and len(running) < self._watch.jobs:
                if not waiting:
                    ready = await asyncio.to_thread(settling.look, folder, self._watch.selection, time.monotonic())
                    free = self._watch.jobs - len(running)
                    waiting = [p for p in ready[:free] if await asyncio.to_thread(self._mine.claim, p)]
                while waiting and len(running) < self._watch.jobs and not pause:
                    path = waiting.pop(0)
                    running[asyncio.create_task(self._one(path))] = path
            ends = asyncio.create_task(self._ends.wait())
            timeout = pause or self._watch.interval
            finished, _ = await asyncio.wait(
                {*running, ends} if not self._ends.is_set() else running,
                timeout=timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            ends.cancel()
            done = {running.pop(task): task.result() for task in finished & running.keys()}
            again = [path for path, made in done.items() if not made]
            waiting = again + waiting
            pause = min(2 * pause or self._watch.interval, 30.0) if again else 0.0

    async def _one(self, path: str) -> bool:
        """Whether the picture is done with, made or failed; not, if an outage kept it from being made."""
        file = self._mine.folder / path
        began = time.monotonic()
        item = next(plan([Entry(path, 0, "")], self._opened.format))
        try:
            data = await asyncio.to_thread(Folder(self._mine.folder).read, path, self._opened.engine.limit)
            made = await self._opened.engine.anonymize(data, path if self._watch.refs else self._opened.source_ref)
            await asyncio.to_thread(self._publish, item, made.data, file)
        except PictureFailed as error:
            if error.outage:
                self._say(f"waiting: {error.detail}")
                return False
            await asyncio.to_thread(self._fail, file, path, error)
            self._say(f"failed: {path}: {error.detail}")
            return True
        except OSError as error:
            self._say(f"waiting: {path} cannot be read or written: {error.strerror}")
            return False
        counts = ", ".join(f"{count} {name}" for name, count in sorted(made.counts.items()))
        self._say(f"{path}: {counts} hidden in {time.monotonic() - began:.1f} s")
        return True

    def _publish(self, item: Item, data: bytes, original: Path) -> None:
        """The result first, then the original's way: if that is interrupted, the picture is made once more."""
        self._output.stage(item.target, data).publish()
        if self._watch.originals is None:
            original.unlink()
        else:
            _move(original, self._watch.originals / item.source.path)

    def _fail(self, file: Path, path: str, error: PictureFailed) -> None:
        target = self._watch.failed / path
        _move(file, target)
        note = {"problem": error.problem, "detail": error.detail, "receipt": error.receipt}
        target.with_name(target.name + ".json").write_text(json.dumps(note) + "\n", encoding="utf-8")


def _move(file: Path, target: Path) -> None:
    """To the same file system by a rename, to another by a copy that is whole before it has its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.replace(target)
    except OSError:
        partial = target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")
        shutil.copy2(file, partial)
        partial.replace(target)
        file.unlink()


async def watch_folder(settings: Settings, watch: Watch, console: Console) -> None:
    """Runs until SIGINT or SIGTERM. Raises StartError if it cannot begin."""
    watch.check()

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    with claims(watch.input) as mine:
        async with open_engine(settings, watch.options, watch.servers, watch.jobs) as opened:
            watcher = Watcher(watch, opened, mine, say)
            say(f"watching {watch.input}")
            with stopping(watcher.stop):
                await watcher.run()
