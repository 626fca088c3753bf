"""What every command shares: the two consoles, tables, and how expected failures end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table

from service.app.failure import StartError
from service.errors import InvalidRequest, VeilError
from service.models.catalog import ModelError
from service.observability.logs import configure
from service.settings import Settings, SettingsError

WIDE = 240
"""Columns of what another program reads, which has no width."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False)


def table(*columns: str) -> Table:
    """A table whose cells take several lines rather than lose their ends: digests and ids are there to be copied."""
    made = Table()
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


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
