"""The record store: every piece of work on it is bounded in time and fails as RecordStoreUnavailable or not at all."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import CompoundSelect, Insert, RowMapping, Select, Table, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import RecordStoreUnavailable
from service.records import migrations
from service.records.engines import WRITES, create_engine

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

RETRY_AFTER: Final = 2.0
"""Seconds after which a caller may try again: a restart of PostgreSQL takes about that long."""

NOT_READ: Final = "The record store is not available at the moment."

MIGRATION_SECONDS: Final = 600.0
CLOSING_SECONDS: Final = 15.0
"""psycopg needs up to 10 s to give up a statement on a server that does not even answer the cancellation."""


class Database:
    """Connections to one database. Made by `connect`, ended by `close`; belongs to one event loop."""

    def __init__(self, engine: AsyncEngine, timeout: float) -> None:
        self._engine = engine
        self._timeout = timeout
        self._running: set[asyncio.Task[object]] = set()
        self._writing = asyncio.Lock() if engine.dialect.name == "sqlite" else contextlib.nullcontext()

    @classmethod
    def connect(cls, url: str, *, pool_size: int = 8, timeout: float = 5.0) -> "Database":
        """The database at `url`; connections are opened when they are needed.

        `sqlite:///path` or `postgresql://user:password@host/name`; `timeout` (seconds) bounds each piece of work.
        Raises ValueError if the URL cannot be used.
        """
        return cls(create_engine(url, pool_size=pool_size, timeout=timeout), timeout)

    async def close(self) -> None:
        """Lets what is under way finish within its time, ends what does not, closes all connections."""
        if self._running:
            await asyncio.wait(self._running, timeout=self._timeout)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSING_SECONDS)
        await self._engine.dispose()

    async def rows(
        self, statement: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
    ) -> Sequence[RowMapping]:
        """What `statement` selects. Raises RecordStoreUnavailable."""

        async def fetch(connection: AsyncConnection) -> Sequence[RowMapping]:
            found: Sequence[RowMapping] = (await connection.execute(statement)).mappings().all()
            return found

        return await self._bounded(fetch, writes=False, seconds=self._timeout)

    async def execute(self, *statements: Insert | Update) -> None:
        """Returns when what `statements` write, in one transaction, is committed to disk.

        They must be repeatable: they are sent again on a fresh connection if the pooled one turns out to be dead, and
        the first ones may have been committed. Raises RecordStoreUnavailable (it is then unknown whether the write was
        committed), and IntegrityError where a constraint or a trigger forbids it.
        """

        async def send(connection: AsyncConnection) -> None:
            for statement in statements:
                await connection.execute(statement)

        await self._bounded(send, writes=True, seconds=self._timeout)

    async def transaction(self, work: Work[T]) -> T:
        """What `work` gives, run in one writing transaction and committed. Raises as `execute`, and what `work` raises.

        `work` is called again if the pooled connection turns out to be dead.
        """
        return await self._bounded(work, writes=True, seconds=self._timeout)

    @property
    def on_postgresql(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows `on_conflict_do_nothing`, which makes writing repeatable."""
        return sqlite.insert(table) if self._engine.dialect.name == "sqlite" else postgresql.insert(table)

    async def check(self) -> None:
        """Raises RecordStoreUnavailable unless the database answers and has a schema that this version can work with:
        its own, or a newer one that only has more, see `migrations.serves`.
        """
        current, head = await self.current_revision(), self.head_revision()
        if not migrations.serves(current):
            raise RecordStoreUnavailable(
                "The record store is not ready: its schema is not the one that this version needs.",
                cause=f"the schema is at {current or 'nothing'}, this version needs {head}; run 'veil migrate'",
                retry_after=RETRY_AFTER,
            )

    async def current_revision(self) -> str | None:
        """The schema's revision, None if there is no schema yet. Raises RecordStoreUnavailable."""
        return await self._bounded(
            lambda connection: connection.run_sync(migrations.current), writes=False, seconds=self._timeout
        )

    def head_revision(self) -> str:
        """The revision that this version needs."""
        return migrations.head()

    async def migrate(self) -> None:
        """Brings the schema to the head revision, or leaves it as it was. Any number of replicas may do so at once.

        A newer schema that serves this version stays. Raises RecordStoreUnavailable, also for one that does not serve.
        """
        current = await self.current_revision()
        if migrations.serves(current):
            return
        if current is not None and current not in migrations.known():
            raise RecordStoreUnavailable(
                "The record store has a schema that this version does not know.",
                cause=f"the schema is at {current}, which a newer version made; this one knows {self.head_revision()}",
                retry_after=RETRY_AFTER,
            )
        await self._bounded(
            lambda connection: connection.run_sync(migrations.upgrade), writes=True, seconds=MIGRATION_SECONDS
        )

    async def _bounded(self, work: Work[T], *, writes: bool, seconds: float) -> T:
        """Runs `work` in a task of its own, which the caller stops waiting for after `seconds`.

        A task of its own because giving up takes its time too: psycopg first asks the server to cancel and waits for
        the answer, which never comes from a server that hangs. And a caller that is cancelled itself (its client left)
        must not tear up a transaction under way. The task is cancelled at the same deadline either way.
        """
        task = asyncio.create_task(self._translated(work, writes=writes))
        self._running.add(task)
        deadline = asyncio.get_running_loop().call_later(seconds, task.cancel)
        task.add_done_callback(lambda _: deadline.cancel())
        task.add_done_callback(self._forget)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done or task.cancelled():
            raise _unavailable(f"no answer within {seconds:g} s", writes=writes)
        return task.result()

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Nobody waits for a late failure anymore; asked for here, it is not reported as overlooked.
            task.exception()

    async def _translated(self, work: Work[T], *, writes: bool) -> T:
        try:
            try:
                return await self._transaction(work, writes=writes)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # A pooled connection that a restart of the server had cut; the pool has dropped its like by now.
                return await self._transaction(work, writes=writes)
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout, OSError) as error:
            raise _unavailable(_cause(error), writes=writes) from error

    async def _transaction(self, work: Work[T], *, writes: bool) -> T:
        # SQLite has one writer at a time: they queue here in order, not in its busy handler, which is a lottery.
        async with self._writing if writes else contextlib.nullcontext(), self._engine.connect() as connection:
            await connection.execution_options(**{WRITES: writes})
            async with connection.begin():
                return await work(connection)


def _unavailable(cause: str, *, writes: bool) -> RecordStoreUnavailable:
    return RecordStoreUnavailable(None if writes else NOT_READ, cause=cause, retry_after=RETRY_AFTER)


def _cause(error: Exception) -> str:
    """What the database said, for the log: its first line only, since later ones may quote a row's values."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(said).splitlines()
    return f"{type(said).__name__}: {lines[0]}" if lines else type(said).__name__
