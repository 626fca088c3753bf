"""`veil run`: a whole tree, mirrored; interrupted at any moment, it goes on where it stopped."""

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from service.app.failure import StartError
from service.bulk import report
from service.bulk.attempts import Here, Workers, refusal
from service.bulk.journal import Journal, Line
from service.bulk.on_ray import Cluster, Errand, OnRay, alike
from service.bulk.opening import Opened, ServerGiven, open_engine
from service.bulk.progress import reporting
from service.bulk.run import Run, Tally, stopping
from service.bulk.selection import Item, Selection, plan
from service.bulk.stores import Folder, Store, open_store
from service.settings import Settings

STATE = ".veil"
"""Folder of the journal and the report, in the output."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What a run is about. `state`: where its journal and report are kept. `refs`: paths as source references."""

    input: str
    output: str
    options: tuple[str, ...] = ()
    selection: Selection = field(default_factory=Selection)
    servers: ServerGiven | None = None
    jobs: int = 2
    resume: bool = False
    refs: bool = False
    state: Path | None = None
    cluster: Cluster | None = None

    def stores(self) -> tuple[Store, Store, Path]:
        """Input, output, and the folder of the journal. Raises StartError if they cannot be."""
        output = open_store(self.output)
        if not isinstance(output, Folder):
            if self.state is None:
                raise StartError("Name a local folder for the journal and the report with --state.")
            return open_store(self.input), output, self.state
        source = open_store(self.input)
        if isinstance(source, Folder):
            if not source.root.is_dir():
                raise StartError(f"{self.input} is no folder.")
            if source.root.resolve() == output.root.resolve():
                raise StartError("The output must be another folder than the input: originals are never overwritten.")
            source = Folder(source.root, leave_out=output.root)
        return source, output, self.state or output.root / STATE


async def run_tree(settings: Settings, tree: Tree, console: Console) -> Tally:
    """Raises StartError before any picture is touched if the run cannot be as asked."""
    began = datetime.now(UTC)
    source, output, state = tree.stores()
    if tree.cluster is not None:
        settings = alike(settings, tree.cluster)
    async with open_engine(settings, tree.options, tree.servers, tree.jobs) as opened:
        facts = {"input": tree.input, "options": sorted(tree.options), **opened.engine.facts}
        journal = Journal(state / "journal.ndjson", facts)
        try:
            known = journal.resume() if tree.resume else journal.begin()
            tally = await _work(tree, settings, opened, source, output, journal, known, console)
            engine = "servers" if tree.servers else "ray" if tree.cluster else "in-process"
            settled = {**facts, "engine": engine, "jobs": tree.jobs}
            await asyncio.to_thread(report.write, state, settled, journal.lines(), tally.stopped, began)
        finally:
            journal.close()
    console.print(
        f"{tally.made} anonymized, {tally.already} were there, {tally.failed} failed; report: {state / 'report.html'}",
        markup=False,
        soft_wrap=True,
    )
    return tally


async def _work(
    tree: Tree,
    settings: Settings,
    opened: Opened,
    source: Store,
    output: Store,
    journal: Journal,
    known: dict[str, Line],
    console: Console,
) -> Tally:
    workers = _workers(tree, settings, opened, source, output)
    with reporting(console) as progress:
        run = Run(output, journal, jobs=tree.jobs, progress=progress)
        with stopping(lambda why: run.stop(f"{why}; go on with --resume")):
            entries = await asyncio.to_thread(lambda: [e for e in source.walk() if tree.selection.takes(e.path)])
            items = list(plan(entries, opened.format))
            there = await asyncio.to_thread(lambda: {entry.path for entry in output.walk()})
            refused = occupied(items, known, there)
            await run.refuse(refusal(item, *why) for item, why in refused.items())
            return await run.pictures([item for item in items if item not in refused], known, workers)


def _workers(tree: Tree, settings: Settings, opened: Opened, source: Store, output: Store) -> Workers:
    if tree.cluster is not None:
        errand = Errand(settings, tree.options, tree.input, tree.output, tree.refs)
        return OnRay(tree.cluster, errand, output, jobs=tree.jobs)
    return Here(
        opened.engine,
        source,
        output,
        jobs=tree.jobs,
        ref=lambda path: path if tree.refs else opened.source_ref,
    )


def occupied(items: Sequence[Item], known: Mapping[str, Line], there: Container[str]) -> dict[Item, tuple[str, str]]:
    """Items whose result would take the place of another's, or of a file that this run did not write, and why."""
    refused: dict[Item, tuple[str, str]] = {}
    first: dict[str, Item] = {}
    for item in items:
        other = first.setdefault(item.target, item)
        line = known.get(item.source.path)
        if other is not item:
            refused[item] = "same-name", f"{other.source.path} becomes {item.target}, too"
        elif item.target in there and not (line is not None and line.made):
            refused[item] = "exists", f"{item.target} is in the output already, and not by this run"
    return refused
