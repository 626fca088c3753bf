"""The migrated schema is the one of the tables, and gets there safely: SQLite here, PostgreSQL in `tests/postgres`."""

import asyncio
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError

from service.errors import RecordStoreUnavailable
from service.records import migrations
from service.records.database import Database
from service.records.keys import KeyRepository
from service.records.repository import ReceiptRepository
from service.records.tables import metadata, receipts
from tests.unit.records.stores import TIMEOUT, full, minimal

ROOT = Path(__file__).resolve().parents[3]

REPLICA = """
import asyncio, sys
from service.records.database import Database

async def main():
    database = Database.connect(sys.argv[1], timeout=20)
    print("ready", flush=True)
    sys.stdin.readline()
    await database.migrate()
    await database.check()
    await database.close()

asyncio.run(main())
"""


async def test_migrations_and_tables_agree(database: Database) -> None:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    assert await run(database, compare) == []


async def test_constraints_and_indexes_have_their_names(database: Database) -> None:
    """Autogeneration compares neither check constraints nor names of keys."""

    def names(connection: Connection) -> set[str | None]:
        inspector = inspect(connection)
        found: set[str | None] = set()
        for table in metadata.tables:
            found.add(inspector.get_pk_constraint(table)["name"])
            found.update(each["name"] for each in inspector.get_check_constraints(table))
            found.update(each["name"] for each in inspector.get_unique_constraints(table))
            found.update(each["name"] for each in inspector.get_foreign_keys(table))
        return found

    declared = {str(each.name) for table in metadata.tables.values() for each in table.constraints}
    assert await run(database, names) == declared


async def test_down_and_up_again(database: Database) -> None:
    await ReceiptRepository(database).add(minimal())
    await run(database, migrations.downgrade)
    assert await database.current_revision() is None
    with pytest.raises(RecordStoreUnavailable, match="schema"):
        await database.check()
    with pytest.raises(RecordStoreUnavailable):
        await ReceiptRepository(database).page()
    await database.migrate()
    await database.check()
    receipt = full()
    await ReceiptRepository(database).add(receipt)
    assert (await ReceiptRepository(database).page()).receipts == (receipt,)


async def test_migrating_again_changes_nothing(database: Database) -> None:
    receipt = minimal()
    await ReceiptRepository(database).add(receipt)
    await database.migrate()
    assert await database.current_revision() == database.head_revision()
    assert await ReceiptRepository(database).get(receipt.id) == receipt


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(url: str) -> None:
    database = Database.connect(url, timeout=TIMEOUT)
    try:
        await run(database, lambda connection: connection.execute(text("CREATE TABLE api_keys (in_the_way INTEGER)")))
        with pytest.raises(RecordStoreUnavailable) as caught:
            await database.migrate()
        assert "api_keys" in str(caught.value.cause)
        tables = await run(database, lambda connection: inspect(connection).get_table_names())
        assert tables == ["api_keys"]
    finally:
        await database.close()


@pytest.mark.parametrize("revision", ["0101", "9999", "0099x", "nonsense"])
async def test_a_schema_of_another_generation_is_left_alone(database: Database, revision: str) -> None:
    await run(database, at_revision(revision))
    for refused in (database.migrate, database.check):
        with pytest.raises(RecordStoreUnavailable) as caught:
            await refused()
        assert revision in str(caught.value.cause)
    assert await database.current_revision() == revision


async def test_a_newer_schema_of_the_same_generation_serves(database: Database, keys: KeyRepository) -> None:
    """What the rolling upgrade of replicas rests on: more tables and columns, and the values that came with them."""
    newer = f"{int(database.head_revision()) + 1:04d}"
    _, token = await keys.create("old", "anonymize")
    _, of_tomorrow = await keys.create("new", "read")
    await run(database, at_revision(newer))
    await run(database, lambda connection: connection.execute(text("ALTER TABLE receipts ADD COLUMN more VARCHAR(9)")))
    await run(database, give_a_role_of_tomorrow)
    await database.migrate()
    await database.check()
    assert await database.current_revision() == newer
    receipt = full()
    await ReceiptRepository(database).add(receipt)
    assert await ReceiptRepository(database).get(receipt.id) == receipt
    fresh = KeyRepository(database)
    assert await fresh.authenticate(token) is not None
    assert await fresh.authenticate(of_tomorrow) is None
    assert [each.name for each in await fresh.list()] == ["old"]


@pytest.mark.parametrize("revision", [None, "0001", "0000"])
def test_an_older_schema_does_not_serve(revision: str | None) -> None:
    assert not migrations.serves(revision)


def at_revision(revision: str):  # type: ignore[no-untyped-def]
    """Says that the schema is at `revision`."""
    statement = text("UPDATE alembic_version SET version_num = :revision")
    return lambda connection: connection.execute(statement, {"revision": revision})


def give_a_role_of_tomorrow(connection: Connection) -> None:
    """As after a migration that widens the check of the roles."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE api_keys DROP CONSTRAINT ck_api_keys_role"))
    else:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
    connection.execute(text("UPDATE api_keys SET role = 'auditor' WHERE name = 'new'"))


async def test_replicas_that_start_together_migrate_once(url: str) -> None:
    """Real processes, let go at the same moment."""
    command = [sys.executable, "-W", "error", "-c", REPLICA, url]
    pipe = asyncio.subprocess.PIPE
    replicas = [
        await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT) for _ in range(3)
    ]
    for replica in replicas:
        assert replica.stdout is not None
        assert await replica.stdout.readline() == b"ready\n"
    ended = await asyncio.gather(*(replica.communicate(b"\n") for replica in replicas))
    assert [(replica.returncode, err) for replica, (_, err) in zip(replicas, ended, strict=True)] == [(0, b"")] * 3


@pytest.mark.parametrize("wrong", [{"outcome": "fine"}, {"output_rewrite": "some"}, {"received_at": None}])
async def test_the_database_itself_refuses_nonsense(database: Database, wrong: dict[str, object]) -> None:
    values = {"output_rewrite": "none", "models": [], "tiles": 0, "counts": {}, "timings_ms": {}}
    receipt = minimal()
    values |= {"id": receipt.id, "received_at": receipt.received_at, "finished_at": receipt.finished_at}
    values |= {"outcome": "ok", "service_version": "0"}
    with pytest.raises(IntegrityError):
        await database.execute(database.insert(receipts).values(**(values | wrong)))
    await database.execute(database.insert(receipts).values(**values))


async def run(database: Database, work):  # type: ignore[no-untyped-def]
    """What `work(connection)` gives, committed."""
    async with database._engine.begin() as connection:
        return await connection.run_sync(work)
