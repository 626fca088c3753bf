"""`veil evaluate`: what is hidden of what a set of pictures has annotated."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from service.commands.console import err, fail, out, plain_errors, settings_now
from service.settings import Engine, Settings

if TYPE_CHECKING:
    from service.evaluation.dataset import Dataset
    from service.evaluation.misses import Miss
    from service.evaluation.report import Report

app = typer.Typer()

JSON, HTML = "evaluation.json", "evaluation.html"


@app.command()
def evaluate(
    dataset: Annotated[
        Path | None, typer.Argument(exists=True, file_okay=False, help="Folder with annotations.json and images/.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", file_okay=False, help="Folder of the report (JSON and HTML).")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("-s", "--set", metavar="NAME=VALUE", help="An option of the API, e.g. -s effort=thorough."),
    ] = None,
    triton: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Ask this Triton server.")] = None,
    subset: Annotated[list[str] | None, typer.Option(help="Take this subset only; may be given again.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Take each n-th picture only.")] = 1,
    lowest: Annotated[float, typer.Option(min=0.01, max=0.99, help="Threshold where the curve begins.")] = 0.1,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="No pictures of misses in the HTML.")] = False,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="A.json B.json", help="Compare two reports instead.")
    ] = None,
) -> None:
    """Measure what is hidden of what DATASET has annotated, by the same way as the service up to the mask.

    With pictures of misses, the HTML report shows unobscured parts of DATASET: keep it as you keep DATASET itself.
    """
    from service.evaluation.dataset import DatasetError, read_dataset

    try:
        with plain_errors():
            if compare is not None:
                if dataset is not None:
                    fail("Give either a data set or two reports to compare.", 2)
                _compare(*compare)
                return
            if dataset is None:
                fail("Give a data set, or two reports to compare.", 2)
            settings = settings_now()
            if triton is not None:
                engine = {"engine": Engine.TRITON, "triton_url": triton}
                settings = settings.model_copy(update={"detection": settings.detection.model_copy(update=engine)})
            subsets = tuple(subset or ())
            chosen = read_dataset(dataset).sample(every=every, subsets=subsets)
            pictures = output is not None and not no_pictures
            report, misses = asyncio.run(_measured(settings, chosen, option or [], subsets, every, lowest, pictures))
            _write(report, misses, output)
    except DatasetError as error:
        fail(str(error), 2)
    if report.failures:
        fail(f"{len(report.failures)} pictures could not be measured; they count in no figure.")


async def _measured(
    settings: Settings,
    dataset: "Dataset",
    options: list[str],
    subsets: tuple[str, ...],
    every: int,
    lowest: float,
    pictures: bool,
) -> "tuple[Report, list[Miss]]":
    """The report, and the worst misses if `pictures` are wanted."""
    from service.evaluation.misses import draw_misses
    from service.evaluation.run import evaluate, open_pipeline

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with open_pipeline(settings, options) as pipeline:
        with Progress(*columns, console=err) as progress:
            task = progress.add_task("measuring", total=len(dataset.pictures))
            report = await evaluate(
                pipeline, dataset, every=every, subsets=subsets, lowest=lowest, step=lambda: progress.advance(task)
            )
        return report, await draw_misses(pipeline, dataset, report) if pictures else []


def _write(report: "Report", misses: "list[Miss]", output: Path | None) -> None:
    from service.evaluation import wording
    from service.evaluation.page import page

    _print(("", ""), wording.setup_lines(report))
    _print(wording.RECALL, wording.recall(report))
    _print(wording.FALSE, wording.false(report))
    for failure in report.failures:
        err.print(f"picture {failure.id}: {failure.problem}", markup=False, soft_wrap=True)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / JSON).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (output / HTML).write_text(page(report, misses), encoding="utf-8")
        out.print(f"wrote {JSON} and {HTML} in {output}", markup=False, soft_wrap=True)


def _compare(one: Path, other: Path) -> None:
    from service.evaluation import wording
    from service.evaluation.comparison import compare
    from service.evaluation.report import read_report

    _print(wording.CHANGES, wording.changes(compare(read_report(one), read_report(other))))


def _print(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(*head, show_header=any(head))
    for row in rows:
        table.add_row(*row)
    out.print(table)
