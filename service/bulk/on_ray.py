"""Workers on a Ray cluster: Ray Data deals out the pictures, starts workers and replaces those that are lost.

A picture goes from the store to a worker and its result back to the store: no pixel passes through Ray, whose object
store spills to disks and whose logs are kept. What passes are paths, names of results and the settings, secrets
included, so the cluster must be as trustworthy as the machines of the service.
"""

import asyncio
import json
import logging
import os
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import SecretStr

from service.app.failure import StartError
from service.bulk.attempts import Attempt, attempt
from service.bulk.journal import Line
from service.bulk.opening import open_engine
from service.bulk.selection import Item
from service.bulk.stores import Entry, Store, open_store
from service.settings import Settings

SHARE = 16
"""Blocks of pictures for each worker, at least where there are as many: how much work the loss of one costs."""

LARGEST = 8
"""Pictures of a block at most."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """`address`: as Ray knows it, `host:port`, `ray://…` or `auto`. `cores`: that each worker gets."""

    address: str
    cores: int


@dataclass(frozen=True, slots=True)
class Errand:
    """What a worker must know. The addresses of input and output must lead to the same files on each machine."""

    settings: Settings
    options: tuple[str, ...]
    input: str
    output: str
    refs: bool


def alike(settings: Settings, cluster: Cluster) -> Settings:
    """`settings` for every worker: its share of cores, and one secret of the noise for all.

    Raises StartError if the records are in a file, which serves one machine only.
    """
    if settings.database.url.get_secret_value().startswith("sqlite"):
        raise StartError("Workers on several machines need one database: set VEIL_DATABASE__URL to a PostgreSQL.")
    secret = settings.obscuring.secret or SecretStr(secrets.token_hex(32))
    return settings.model_copy(
        update={
            "detection": settings.detection.model_copy(update={"threads": cluster.cores}),
            "obscuring": settings.obscuring.model_copy(update={"secret": secret}),
        }
    )


class Worker:
    """One process of the cluster, with an engine of its own: a picture at a time."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._loop = asyncio.new_event_loop()
        self._open = AsyncExitStack()
        self._source, self._output = open_store(errand.input), open_store(errand.output)
        entering = self._open.enter_async_context(open_engine(errand.settings, errand.options, None, 1))
        self._opened = self._loop.run_until_complete(entering)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The attempt at the picture that `row` names, as text: what Arrow makes of nested values is not needed."""
        path, size, stamp, target = json.loads(row["item"])
        made = self._loop.run_until_complete(self._attempt(Item(Entry(path, size, stamp), target)))
        return {"line": json.dumps(asdict(made.line)), "outage": made.outage}

    async def _attempt(self, item: Item) -> Attempt:
        def ref(path: str) -> str | None:
            return path if self._errand.refs else self._opened.source_ref

        return await attempt(self._opened.engine, self._source, self._output, item, ref, apart=True)


class OnRay:
    """Workers of a cluster. Results wait beside their place, and are published where they are recorded: here."""

    def __init__(self, cluster: Cluster, errand: Errand, output: Store, *, jobs: int) -> None:
        self._cluster = cluster
        self._errand = errand
        self._output = output
        self._jobs = jobs

    async def attempts(self, items: Sequence[Item], stopped: Callable[[], bool]) -> AsyncGenerator[Attempt]:
        """What is under way when the run is stopped is not waited for: it is made again."""
        if not items:
            return
        rows = await asyncio.to_thread(self._rows, items)
        try:
            while not stopped() and (row := await asyncio.to_thread(next, rows, None)) is not None:
                yield await asyncio.to_thread(self._attempt, row)
        finally:
            await asyncio.to_thread(self._leave)

    def _attempt(self, row: dict[str, Any]) -> Attempt:
        line = Line(**json.loads(row["line"]))
        if not line.made:
            return Attempt(line, outage=bool(row["outage"]))
        assert line.staged is not None
        staged = self._output.staged(line.target, line.staged, None)
        if staged is None:
            raise StartError(
                f"A worker's result is not to be found in {self._errand.output}.\n"
                "Input and output must lead to the same files on every machine of the cluster."
            )
        return Attempt(line, staged)

    def _rows(self, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """The rows that workers answer, as they come."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray reports its use to its makers unless it is told not to
        try:
            import ray
            import ray.data
        except ImportError:
            raise StartError("Ray is not installed: pip install 'veil[ray]', here and on the cluster.") from None
        try:
            ray.init(address=self._cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise StartError(f"No Ray cluster answers at {self._cluster.address}.") from error
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        worker: Any = Worker  # Ray's types know functions only
        named = [{"item": json.dumps([i.source.path, i.source.size, i.source.stamp, i.target])} for i in items]
        answers = ray.data.from_items(
            named, override_num_blocks=min(len(named), max(self._jobs * SHARE, -(-len(named) // LARGEST)))
        ).map(
            worker,
            fn_constructor_args=(self._errand,),
            num_cpus=self._cluster.cores,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=self._jobs),
        )
        rows: Iterator[dict[str, Any]] = iter(answers.iter_rows())
        return rows

    def _leave(self) -> None:
        """Ends this run's workers, and removes what those left that were lost."""
        import ray

        ray.shutdown()
        self._output.sweep_all()
