"""Commands on API keys."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from service.app import open_database
from service.commands.console import err, out, plain_errors, settings_now
from service.records.keys import KeyRepository, Role

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")


def with_keys(work: Callable[[KeyRepository], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` on the key store of the configured database."""

    async def run() -> T:
        async with open_database(settings_now()) as database:
            return await work(KeyRepository(database))

    with plain_errors():
        return asyncio.run(run())


@app.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for, e.g. the name of the viewer.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")],
) -> None:
    """Create a key and print it once; only its hash is stored."""
    key, token = with_keys(lambda repository: repository.create(name, role))
    err.print(f"key {key.id} ({key.role}): shown once, keep it safe")
    sys.stdout.write(token + "\n")


@app.command("list")
def keys_list() -> None:
    """List the keys, without their secrets."""
    table = Table("id", "name", "role", "created", "revoked")
    for key in with_keys(lambda repository: repository.list()):
        revoked = "" if key.revoked_at is None else f"{key.revoked_at:%Y-%m-%d %H:%M}"
        table.add_row(str(key.id), key.name, key.role, f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    out.print(table)


@app.command("revoke")
def keys_revoke(key: Annotated[str, typer.Argument(help="The key's id or name.")]) -> None:
    """Revoke a key for good."""
    with_keys(lambda repository: repository.revoke(key))
    out.print(f"revoked {key}", markup=False)
