"""Commands around the running service."""

import asyncio
import json
import sys
from typing import Annotated

import typer

from service import __version__
from service.commands.console import out, plain_errors, settings_now

app = typer.Typer()


@app.command()
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


@app.command()
def migrate() -> None:
    """Bring the database schema up to date."""
    from service.app.records import open_database

    async def run() -> str:
        settings = settings_now()
        forced = settings.model_copy(update={"database": settings.database.model_copy(update={"migrate": True})})
        async with open_database(forced) as database:
            return database.head_revision()

    with plain_errors():
        out.print(f"the schema is at {asyncio.run(run())}")


@app.command()
def doctor() -> None:
    """Check settings, models, engine, database and keys, and say what is wrong."""
    from service.doctor import examine

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


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from service.api.application import document

    json.dump(document(), sys.stdout, indent=2)
    sys.stdout.write("\n")


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)
