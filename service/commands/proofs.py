"""Proof, without a service, of what left it."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands.console import fail, out, plain_errors
from service.records.proof import ProofError, verify_proof
from service.records.signing import SigningKeyError, read_public_keys

app = typer.Typer()


@app.command()
def verify(
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The picture that left Veil.")],
    receipt: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Its proof (…/v1/receipts/ID/proof).")],
    keys: Annotated[
        Path, typer.Option("--keys", "--key", exists=True, dir_okay=False, help="Key set, or public key as PEM.")
    ] = Path("veil-keys.json"),
) -> None:
    """Prove, offline, that a picture left Veil as it is: with these models, under this policy. Exit 1 if not."""
    with plain_errors():
        data, proof = image.read_bytes(), receipt.read_bytes()
        text = keys.read_text(encoding="utf-8", errors="replace")
    try:
        proven = verify_proof(data, proof, read_public_keys(text))
    except SigningKeyError as error:
        fail(f"{keys}: {error}", 2)
    except ProofError as error:
        fail(f"NOT PROVEN: {error}")
    said = proven.statement
    lines = [
        ("proven", "this picture left Veil, and it and its receipt are unchanged"),
        ("receipt", said["id"]),
        ("received", said["received_at"]),
        (
            "models",
            ", ".join(f"{model['name']}/{model['version']} ({model['sha256'][:16]}…)" for model in said["models"]),
        ),
        ("policy", said["policy_digest"]),
        ("objects", ", ".join(f"{name}: {count}" for name, count in said["counts"].items()) or "none"),
        ("signed by", proven.key.kid),
    ]
    for name, value in lines:
        out.print(f"{name:<10} {value}", markup=False, soft_wrap=True)
