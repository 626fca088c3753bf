"""Commands that work on pictures."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.bulk.files import anonymize_files
from service.commands.console import err, fail, out, plain_errors, settings_now

app = typer.Typer()


@app.command()
def anonymize(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Pictures to anonymize.")],
    output: Annotated[Path, typer.Option("-o", "--output", file_okay=False, help="Folder of the results.")] = Path(
        "anonymized"
    ),
    option: Annotated[
        list[str] | None,
        typer.Option("-s", "--set", metavar="NAME=VALUE", help="An option of the API, e.g. -s obscure.plate=fill."),
    ] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Pictures at the same time.")] = 2,
    proofs: Annotated[bool, typer.Option("--proofs", help="Write each signed receipt beside its picture.")] = False,
) -> None:
    """Anonymize FILES into a folder, by the same way and with the same receipts as the service."""
    with plain_errors():
        failed = asyncio.run(anonymize_files(settings_now(), files, output, option or [], jobs, err, proofs=proofs))
    if failed:
        fail(f"{failed} of {len(files)} pictures failed and were not written.")


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Pictures to look into.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what FILES are made of and what becomes of each part; exit 1 if any part is one that Veil never writes."""
    from service.inspection import clean, document, inspect_files, show

    with plain_errors():
        results = list(inspect_files(files))
    if as_json:
        sys.stdout.write(document(results) + "\n")
    else:
        for path, result in results:
            show(out, path, result)
    if not all(clean(result) for _, result in results):
        raise typer.Exit(1)
