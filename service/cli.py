"""`veil` on the command line: the commands of `service.commands`, put together."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

COMMANDS: Final = {
    "serve": "serving",
    "migrate": "serving",
    "doctor": "serving",
    "openapi": "serving",
    "version": "serving",
    "anonymize": "pictures",
    "inspect": "pictures",
    "run": "bulk",
    "watch": "bulk",
    "capacity": "capacity",
    "evaluate": "evaluation",
    "models": "models",
    "keys": "keys",
    "report": "records",
    "export": "records",
    "audit": "records",
    "purge": "records",
    "erase": "records",
    "verify": "proofs",
    "sample": "review",
    "verdict": "review",
    "recall": "review",
}
"""Modules of `service.commands`, by command."""
GROUPS: Final = ("models", "keys")
"""Those with commands of their own: all of their module's."""


class Commands(Mapping[str, object]):
    """Loads the module of the command that is called and no other: half of them need no detector and no web server."""

    def __getitem__(self, name: str) -> object:
        module = COMMANDS[name]
        group = get_group(import_module(f"service.commands.{module}").app)
        group.name = name
        return group if name in GROUPS else group.commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Veil(TyperGroup):
    """The command line with `COMMANDS`."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = Commands()  # type: ignore[assignment]  # only ever read


main = typer.Typer(cls=Veil, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@main.callback()
def veil() -> None:
    """Hides faces and license plates in street-level photographs, on your own hardware."""
