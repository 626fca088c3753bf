"""The schema's history. Alembic, run from code: no configuration file, and the revisions ship inside the package.

A new revision is a new module in `versions`; the test that compares the migrated schema with `records.tables` says
what is still missing.
"""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

GENERATION: Final = 2
"""Digits of a revision that name its generation."""

LOCK: Final = 0x5645494C
"""PostgreSQL's advisory lock that a migration holds ("VEIL" in ASCII)."""


def head() -> str:
    """The newest revision."""
    revision = _script().get_current_head()
    assert revision is not None
    return revision


def known() -> frozenset[str]:
    """Every revision there is."""
    return frozenset(script.revision for script in _script().walk_revisions())


def serves(revision: str | None) -> bool:
    """Whether this version can work with a schema of `revision`: its own, or a newer one of the same generation.

    A revision is four digits, of which the first two are its generation. Inside a generation schemas only grow, by
    tables, by columns that may stay empty, by wider checks; so while replicas are exchanged one by one, the older ones
    go on beside the schema of the newer. The decision: docs/decisions/0015-rolling-upgrades.md.
    """
    if revision is None or revision in known():
        return revision == head()
    return len(revision) == len(head()) and revision[:GENERATION] == head()[:GENERATION] and revision > head()


def current(connection: Connection) -> str | None:
    """The revision of the schema behind `connection`, None if it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Brings the schema up to `revision` inside the transaction of `connection`; waits for others who do so now."""
    _lock(connection)
    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str = "base") -> None:
    """Takes the schema back to `revision`, with everything that was stored in what it removes."""
    _lock(connection)
    command.downgrade(_config(connection), revision)


def _lock(connection: Connection) -> None:
    """One migration at a time; SQLite's BEGIN IMMEDIATE is such a lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
