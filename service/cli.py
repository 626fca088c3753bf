"""`veil` on the command line."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from service import __version__
from service.app import StartError, open_database
from service.bulk import anonymize_files
from service.doctor import examine
from service.errors import InvalidRequest, VeilError
from service.models.catalog import Catalog, ModelError
from service.models.verify import verify_files
from service.observability.logs import configure
from service.records.keys import KeyRepository, Role
from service.settings import Settings, SettingsError

T = TypeVar("T")

main = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Hides faces and license plates in street-level photographs, on your own hardware.",
)
models = typer.Typer(no_args_is_help=True, help="Build, list, verify and export the detectors.")
keys = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")
main.add_typer(models, name="models")
main.add_typer(keys, name="keys")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def fail(message: str, code: int = 1) -> NoReturn:
    err.print(message, markup=False, soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Expected failures as one message and an exit code, without a traceback."""
    try:
        yield
    except (SettingsError, StartError, ModelError) as error:
        fail(str(error), 2)
    except InvalidRequest as error:
        fail("\n".join(f"{p.pointer.removeprefix('/')}: {p.detail}" for p in error.problems) or error.detail, 2)
    except VeilError as error:
        fail(error.detail + (f" ({error.cause})" if error.cause else ""))
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {error.strerror or error}")


def settings_now() -> Settings:
    settings = Settings.load()
    configure(settings.logs.format, settings.logs.level)
    return settings


def with_keys(work: Callable[[KeyRepository], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` on the key store of the configured database."""

    async def run() -> T:
        async with open_database(settings_now()) as database:
            return await work(KeyRepository(database))

    with plain_errors():
        return asyncio.run(run())


@main.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (VEIL_SERVER__HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (VEIL_SERVER__PORT).")] = None,
) -> None:
    """Start the service."""
    from service.server import run

    with plain_errors():
        settings = settings_now()
        given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
        run(settings.model_copy(update={"server": settings.server.model_copy(update=given)}))


@main.command()
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
) -> None:
    """Anonymize FILES into a folder, by the same way and with the same receipts as the service."""
    with plain_errors():
        failed = asyncio.run(anonymize_files(settings_now(), files, output, option or [], jobs, err))
    if failed:
        fail(f"{failed} of {len(files)} pictures failed and were not written.")


@main.command()
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


@main.command()
def migrate() -> None:
    """Bring the database schema up to date."""

    async def run() -> str:
        settings = settings_now()
        forced = settings.model_copy(update={"database": settings.database.model_copy(update={"migrate": True})})
        async with open_database(forced) as database:
            return database.head_revision()

    with plain_errors():
        out.print(f"the schema is at {asyncio.run(run())}")


@main.command()
def doctor() -> None:
    """Check settings, models, engine, database and keys, and say what is wrong."""

    async def run() -> bool:
        healthy = True
        async for finding in examine():
            out.print(
                f"{'ok   ' if finding.ok else 'WRONG'} {finding.subject}: {finding.text}", markup=False, soft_wrap=True
            )
            healthy &= finding.ok
        return healthy

    if not asyncio.run(run()):
        raise typer.Exit(1)


@main.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from service.api.application import document

    json.dump(document(), sys.stdout, indent=2)
    sys.stdout.write("\n")


@main.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)


@models.command("build")
def models_build() -> None:
    """Obtain the published detectors and rewrite them into the contract."""
    from service.models.build import build_models

    with plain_errors():
        for spec in build_models(
            settings_now().models.repository, lambda text: err.print(text, markup=False, soft_wrap=True)
        ):
            out.print(f"{spec.label}  {spec.sha256}", soft_wrap=True)


@models.command("list")
def models_list() -> None:
    """List the models of the catalog."""
    with plain_errors():
        catalog = read(settings_now())
    table = Table("model", "classes", "tile", "threshold", "license", "sha256")
    for spec in catalog.specs:
        size = f"{spec.tile_width}×{spec.tile_height}"
        table.add_row(spec.label, ", ".join(spec.classes), size, f"{spec.threshold}", spec.license, spec.sha256[:16])
    out.print(table)


@models.command("verify")
def models_verify() -> None:
    """Compare each model file with its checksum."""
    with plain_errors():
        catalog = read(settings_now())
    problems = verify_files(catalog)
    for problem in problems:
        err.print(str(problem), markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    out.print(f"{len(catalog.specs)} models match their checksums")


@models.command("export")
def models_export(
    target: Annotated[Path, typer.Argument(file_okay=False, help="Folder of the new Triton model repository.")],
    engine: Annotated[str, typer.Option(help="onnxruntime, tensorrt or python.")] = "tensorrt",
) -> None:
    """Write a model repository for a Triton server."""
    from service.models.export import export_repository

    with plain_errors():
        export_repository(read(settings_now()), target, engine)
        out.print(f"wrote {target}")


def read(settings: Settings) -> Catalog:
    try:
        return Catalog.read(settings.models.repository)
    except (OSError, ValueError) as error:
        raise StartError(str(error)) from error


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for, e.g. the name of the viewer.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")],
) -> None:
    """Create a key and print it once; only its hash is stored."""
    key, token = with_keys(lambda repository: repository.create(name, role))
    err.print(f"key {key.id} ({key.role}): shown once, keep it safe")
    sys.stdout.write(token + "\n")


@keys.command("list")
def keys_list() -> None:
    """List the keys, without their secrets."""
    table = Table("id", "name", "role", "created", "revoked")
    for key in with_keys(lambda repository: repository.list()):
        revoked = "" if key.revoked_at is None else f"{key.revoked_at:%Y-%m-%d %H:%M}"
        table.add_row(str(key.id), key.name, key.role, f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    out.print(table)


@keys.command("revoke")
def keys_revoke(key: Annotated[str, typer.Argument(help="The key's id or name.")]) -> None:
    """Revoke a key for good."""
    with_keys(lambda repository: repository.revoke(key))
    out.print(f"revoked {key}", markup=False)
