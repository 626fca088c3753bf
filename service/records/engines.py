"""One engine per kind of database, chosen by URL: PostgreSQL for deployments with replicas, SQLite for one process."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

POSTGRESQL_NAMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
SQLITE_NAMES: Final = ("sqlite", "sqlite+aiosqlite")
EXPECTED: Final = "give sqlite:///path or postgresql://user:password@host/name"

SQLITE_CONNECTIONS: Final = 4
"""SQLite has one writer at a time; more connections than a few readers would only be idle threads."""

PATIENCE_SHARE: Final = 0.8
"""The database gives up a little before its caller does, so that the answer names its reason."""

WRITES: Final = "veil_writes"
"""Execution option of a connection whose transaction will write."""


def create_engine(text: str, *, pool_size: int, timeout: float) -> AsyncEngine:
    """The engine for the URL `text`; nothing is connected yet. `timeout` is in seconds.

    Raises ValueError, without repeating the URL (it may hold a password), if it is not one that Veil understands.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"the database URL cannot be read: {EXPECTED}") from None
    if url.drivername in POSTGRESQL_NAMES:
        return _postgresql(url, pool_size, timeout)
    if url.drivername in SQLITE_NAMES:
        return _sqlite(url, pool_size, timeout)
    raise ValueError(f"the database URL names neither SQLite nor PostgreSQL: {EXPECTED}")


def _postgresql(url: URL, pool_size: int, timeout: float) -> AsyncEngine:
    """psycopg 3. Limits are set on the server too, so that it does not go on with what nobody waits for anymore."""
    patience_ms = max(1, int(timeout * 1000 * PATIENCE_SHARE))
    # synchronous_commit: an image leaves once its receipt is committed, which must mean on disk, whatever the
    # server's or the role's own default is.
    options = f"-c synchronous_commit=on -c statement_timeout={patience_ms} -c timezone=UTC"
    given = url.query.get("options", "")
    options = " ".join([options, *([given] if isinstance(given, str) else given)]).strip()
    engine = create_async_engine(
        url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        hide_parameters=True,
        use_native_hstore=False,
        connect_args={
            "options": options,
            "application_name": "veil",
            # One short statement a request gains nothing from preparing, and poolers between us and the server do
            # not all keep prepared statements.
            "prepare_threshold": None,
        },
    )
    # Before SQLAlchemy's own first questions, which such a database answers with bytes.
    event.listen(engine.sync_engine, "connect", _require_utf8, insert=True)
    return engine


def _require_utf8(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Raises psycopg.NotSupportedError for a database of another encoding: it could not hold every text."""
    import psycopg

    driver = connection.driver_connection
    encoding = driver.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise psycopg.NotSupportedError(f"the database has the encoding {encoding}; make it with ENCODING 'UTF8'")


def _sqlite(url: URL, pool_size: int, timeout: float) -> AsyncEngine:
    """aiosqlite on a file that only its owner may read; folder and file are made when the first connection is."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:") or url.query:
        raise ValueError("the SQLite URL must name a file and nothing else: sqlite:///path")
    path = Path(url.database)
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        connect_args={"isolation_level": None},
        pool_size=min(pool_size, SQLITE_CONNECTIONS),
        max_overflow=0,
        pool_timeout=timeout,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def prepare(*_: object) -> None:
        _prepare_file(path)

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={max(1, int(timeout * 1000 * PATIENCE_SHARE))}")
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL, not NORMAL: an image leaves once its receipt is committed, which must survive a loss of power.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # The driver's own BEGIN comes too late: not before DDL, so a migration would not be one transaction.
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _prepare_file(path: Path) -> None:
    """Folder 0700 and file 0600 where they are missing; the write-ahead log takes over the file's mode.

    A file that is there is not opened: closing it would drop every lock that this process holds on it (POSIX), and the
    next command line that closes the database would take itself for the last one and remove the log under the service.
    See "How To Corrupt An SQLite Database File", section 2.2, at sqlite.org.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
