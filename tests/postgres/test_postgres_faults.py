"""PostgreSQL goes away, hangs or is in the way: a precise failure in bounded time, and work again afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from service.errors import RecordStoreUnavailable
from service.records.database import Database
from service.records.receipt import Receipt
from service.records.repository import ReceiptRepository
from tests.postgres.server import PostgresProcess
from tests.unit.records.stores import minimal

TIMEOUT = 1.0
SLACK = 1.0
"""What a loaded machine may take on top of the timeout."""


@pytest.fixture
def server(postgres_process: PostgresProcess) -> Iterator[PostgresProcess]:
    """The server, running again afterwards whatever a test did to it."""
    yield postgres_process
    postgres_process.resume()
    if not postgres_process.running:
        postgres_process.start()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database.connect(url, pool_size=4, timeout=TIMEOUT)
    await database.migrate()
    yield database
    await database.close()


@contextmanager
def bounded(seconds: float = TIMEOUT + SLACK) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


async def use_all_connections(receipts: ReceiptRepository) -> None:
    """Afterwards the pool holds all its connections, open."""
    await asyncio.gather(*(receipts.add(minimal()) for _ in range(16)))


async def refused(database: Database) -> RecordStoreUnavailable:
    """The error of an `add`, which comes in time and is the same kind for `check`."""
    with bounded(), pytest.raises(RecordStoreUnavailable) as caught:
        await ReceiptRepository(database).add(minimal())
    with bounded(), pytest.raises(RecordStoreUnavailable):
        await database.check()
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 5
    return caught.value


async def works(database: Database) -> None:
    receipt = minimal()
    await ReceiptRepository(database).add(receipt)
    assert await ReceiptRepository(database).get(receipt.id) == receipt
    await database.check()


@pytest.mark.parametrize("immediate", [True, False])
async def test_stopped_and_started_again(server: PostgresProcess, database: Database, immediate: bool) -> None:
    await use_all_connections(ReceiptRepository(database))
    server.stop(immediate=immediate)
    await refused(database)
    await refused(database)
    server.start()
    await works(database)


@pytest.mark.parametrize("crash", [False, True])
async def test_a_restart_between_requests_is_not_noticed(
    server: PostgresProcess, database: Database, crash: bool
) -> None:
    """Every pooled connection is dead, and no request fails for it."""
    receipts = ReceiptRepository(database)
    await use_all_connections(receipts)
    if crash:
        server.kill()
        server.start()
    else:
        server.restart()
    many = [minimal() for _ in range(16)]
    await asyncio.gather(*(receipts.add(receipt) for receipt in many))
    for receipt in many:
        assert await receipts.get(receipt.id) == receipt


async def test_connections_cut_by_the_administrator(server: PostgresProcess, url: str, database: Database) -> None:
    await use_all_connections(ReceiptRepository(database))
    with psycopg.connect(url, autocommit=True) as administrator:
        [(cut,)] = administrator.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'veil'"
        ).fetchall()
    assert cut == 4
    await works(database)


async def test_a_server_that_hangs(server: PostgresProcess, database: Database) -> None:
    receipts = ReceiptRepository(database)
    await use_all_connections(receipts)
    server.pause()
    for _ in range(3):
        error = await refused(database)
        assert "no answer within 1 s" in str(error.cause)
    # More than there are connections, all held by statements that are being given up.
    with bounded():
        ended = await asyncio.gather(*(receipts.add(minimal()) for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in ended} == {RecordStoreUnavailable}
    server.resume()
    with bounded(15):
        while True:
            try:
                await works(database)
                break
            except RecordStoreUnavailable:
                continue


async def test_a_server_that_hangs_before_the_first_connection(
    server: PostgresProcess, url: str, database: Database
) -> None:
    fresh = Database.connect(url, pool_size=2, timeout=TIMEOUT)
    server.pause()
    await refused(fresh)
    server.resume()
    await works(fresh)
    await fresh.close()


async def test_closing_while_the_server_hangs(server: PostgresProcess, url: str, database: Database) -> None:
    other = Database.connect(url, pool_size=2, timeout=TIMEOUT)
    await works(other)
    server.pause()
    await refused(other)
    with bounded(20):
        await other.close()


async def test_a_table_that_somebody_locked(server: PostgresProcess, url: str, database: Database) -> None:
    """The server gives up before we do, so the cause is told and the connection stays."""
    await works(database)
    with psycopg.connect(url) as administrator:
        administrator.execute("LOCK TABLE receipts IN ACCESS EXCLUSIVE MODE")
        with bounded(), pytest.raises(RecordStoreUnavailable) as caught:
            await ReceiptRepository(database).add(minimal())
        assert "statement timeout" in str(caught.value.cause)
    await works(database)


async def test_what_was_acknowledged_survives_a_crash(server: PostgresProcess, url: str, database: Database) -> None:
    receipts = ReceiptRepository(database)
    acknowledged: list[Receipt] = []

    async def keep_adding() -> None:
        while True:
            receipt = minimal()
            await receipts.add(receipt)
            acknowledged.append(receipt)

    writers = [asyncio.create_task(keep_adding()) for _ in range(8)]
    while len(acknowledged) < 200:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(server.kill)
    ended = await asyncio.gather(*writers, return_exceptions=True)
    assert {type(each) for each in ended} == {RecordStoreUnavailable}
    server.start()
    for receipt in acknowledged:
        assert await receipts.get(receipt.id) == receipt


async def test_a_wrong_password_is_told_without_the_password(server: PostgresProcess) -> None:
    database = Database.connect(server.url("postgres").replace(server.password, "hunter2"), timeout=TIMEOUT)
    error = await refused(database)
    await database.close()
    assert "password authentication failed" in str(error.cause)
    assert "hunter2" not in f"{error} {error.detail} {error.cause}"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
async def test_schemes_and_own_options(server: PostgresProcess, scheme: str) -> None:
    url = server.url("postgres").replace("postgresql", scheme, 1) + "?options=-c%20work_mem%3D3MB&sslmode=prefer"
    database = Database.connect(url, timeout=TIMEOUT)
    async with database._engine.connect() as connection:
        shown = [
            (await connection.exec_driver_sql(f"SHOW {name}")).scalar_one()
            for name in ("work_mem", "synchronous_commit", "statement_timeout", "timezone")
        ]
    await database.close()
    assert shown == ["3MB", "on", "800ms", "UTC"]


async def test_a_database_of_another_encoding_is_told(server: PostgresProcess) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    database = Database.connect(server.url("ascii"), timeout=TIMEOUT)
    try:
        with pytest.raises(RecordStoreUnavailable) as caught:
            await database.migrate()
        assert "encoding SQL_ASCII" in str(caught.value.cause)
    finally:
        await database.close()
