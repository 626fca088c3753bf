"""Commands for many pictures."""

import asyncio
import ssl
from pathlib import Path
from typing import Annotated

import typer

from service.bulk.on_ray import Cluster
from service.bulk.opening import ServerGiven
from service.bulk.selection import Selection
from service.bulk.trees import Tree, run_tree
from service.bulk.watching import Watch, watch_folder
from service.commands.console import err, fail, plain_errors, settings_now

app = typer.Typer()

Options = Annotated[
    list[str] | None,
    typer.Option("-s", "--set", metavar="NAME=VALUE", help="An option of the API, e.g. -s obscure.plate=fill."),
]
Servers = Annotated[
    list[str] | None, typer.Option("--server", metavar="URL", help="A Veil server that does the work; may be repeated.")
]
Key = Annotated[Path | None, typer.Option("--key", exists=True, dir_okay=False, help="File with the servers' API key.")]
Authority = Annotated[
    Path | None, typer.Option("--ca", exists=True, dir_okay=False, help="Certificates (PEM) that the servers' are by.")
]
Jobs = Annotated[int, typer.Option("-j", "--jobs", min=1, help="Pictures at the same time.")]
Include = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Only paths that fit; may be repeated. * matches / as well.")
]
Exclude = Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Leave out paths that fit; may be repeated.")]
Refs = Annotated[
    bool, typer.Option("--path-as-ref", help="Record each picture's path as its source_ref; not done by default.")
]

INTERRUPTED = 3
"""Exit status of a run that ended before its end and can be resumed."""


def given(servers: list[str] | None, key: Path | None, authority: Path | None) -> ServerGiven | None:
    if not servers:
        if key is not None or authority is not None:
            fail("--key and --ca go with --server.", 2)
        return None
    token = None if key is None else key.read_text(encoding="utf-8").strip()
    return ServerGiven(
        tuple(servers), token, True if authority is None else ssl.create_default_context(cafile=authority)
    )


@app.command()
def run(
    input: Annotated[str, typer.Argument(help="Folder, or s3://bucket/prefix.")],
    output: Annotated[str, typer.Argument(help="Folder, or s3://bucket/prefix; gets the same tree.")],
    option: Options = None,
    server: Servers = None,
    key: Key = None,
    ca: Authority = None,
    jobs: Jobs = 2,
    include: Include = None,
    exclude: Exclude = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run into this output.")] = False,
    path_as_ref: Refs = False,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster that does the work; --jobs workers at most.")
    ] = None,
    cores: Annotated[int, typer.Option(min=1, help="Cores of each worker on Ray.")] = 2,
    state: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder of journal and report; default: .veil in the output.")
    ] = None,
) -> None:
    """Anonymize every picture of INPUT into the same place of OUTPUT; exit 1 if any failed, 3 if stopped early."""
    if ray and server:
        fail("Give --ray or --server, not both.", 2)
    with plain_errors():
        tree = Tree(
            input=input,
            output=output,
            options=tuple(option or ()),
            selection=Selection(tuple(include or ()), tuple(exclude or ())),
            servers=given(server, key, ca),
            jobs=jobs,
            resume=resume,
            refs=path_as_ref,
            state=state,
            cluster=None if ray is None else Cluster(ray, cores),
        )
        tally = asyncio.run(run_tree(settings_now(), tree, err))
    if tally.stopped:
        fail(f"Stopped: {tally.stopped}", INTERRUPTED)
    if tally.failed:
        raise typer.Exit(1)


@app.command()
def watch(
    input: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The hand-over folder.")],
    output: Annotated[Path, typer.Argument(file_okay=False, help="Folder of the results; gets the same tree.")],
    originals: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where originals go once their result is there.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete originals once their result is there.")] = False,
    option: Options = None,
    server: Servers = None,
    key: Key = None,
    ca: Authority = None,
    jobs: Jobs = 2,
    include: Include = None,
    exclude: Exclude = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds without a change after which a file is whole.")] = 5.0,
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks into the folder.")] = 1.0,
    path_as_ref: Refs = False,
) -> None:
    """Anonymize pictures as they come into INPUT, until interrupted; several watchers may share a folder."""
    if delete == (originals is not None):
        fail("Say what becomes of originals: either --originals FOLDER or --delete.", 2)
    with plain_errors():
        asyncio.run(
            watch_folder(
                settings_now(),
                Watch(
                    input=input,
                    output=output,
                    originals=originals,
                    options=tuple(option or ()),
                    selection=Selection(tuple(include or ()), tuple(exclude or ())),
                    servers=given(server, key, ca),
                    jobs=jobs,
                    settle=settle,
                    interval=interval,
                    refs=path_as_ref,
                ),
                err,
            )
        )
