"""Commands on the keys that receipts are signed with."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from service.commands.console import err, fail, out, plain_errors, table
from service.commands.records import with_records
from service.records.audit import COMMAND_LINE
from service.records.signing import Signer, SigningKeyError, key_set, new_private_key
from service.records.signing_keys import SigningKeyRepository

app = typer.Typer(no_args_is_help=True, help="Make, list, publish and revoke the keys that receipts are signed with.")


@app.command("new")
def signing_new(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="The new file, for VEIL_SIGNING__KEY_FILE.")],
) -> None:
    """Make a private key in a file of its own, readable for its owner only. To rotate: a new file and a restart."""
    pem = new_private_key()
    with plain_errors():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(pem)
            opened.flush()
            os.fsync(opened.fileno())
    err.print(f"wrote {file}; set VEIL_SIGNING__KEY_FILE={file} and restart", markup=False, soft_wrap=True)
    sys.stdout.write(Signer.read(pem).public.kid + "\n")


@app.command("list")
def signing_list() -> None:
    """List the keys that were ever used, the newest first; all but revoked ones verify."""
    listed = table("key", "first used", "state")
    for number, key in enumerate(with_records(lambda database: SigningKeyRepository(database).list())):
        state = "newest" if number == 0 else "retired"
        listed.add_row(
            key.kid, _minute(key.registered_at), f"revoked {_minute(key.revoked_at)}" if key.revoked_at else state
        )
    out.print(listed)


@app.command("export")
def signing_export(
    private: Annotated[
        Path | None,
        typer.Option("--from", exists=True, dir_okay=False, help="A private key's file instead of the database."),
    ] = None,
) -> None:
    """Print the public keys as JSON Web Key Set, for 'veil verify --keys'; also at /.well-known/veil-keys.json."""
    if private is None:
        keys = with_records(lambda database: SigningKeyRepository(database).list())
    else:
        with plain_errors():
            text = private.read_text(encoding="utf-8", errors="replace")
        try:
            keys = [Signer.read(text).public]
        except SigningKeyError as error:
            fail(f"{private}: {error}", 2)
    json.dump(key_set(keys), sys.stdout, indent=2)
    sys.stdout.write("\n")


@app.command("revoke", context_settings={"ignore_unknown_options": True})  # one id in 64 begins with a dash
def signing_revoke(kid: Annotated[str, typer.Argument(help="The key's id, as 'list' shows it.")]) -> None:
    """Say for good that a key is not to be trusted: nothing that it signed verifies any more."""
    key = with_records(lambda database: SigningKeyRepository(database).revoke(kid, COMMAND_LINE))
    out.print(f"revoked {key.kid}; publish the key set again", markup=False, soft_wrap=True)


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
