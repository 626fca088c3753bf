"""The SQLite file: private, durable, and honest about a disk that is full or a file that cannot be written."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import event

from service.errors import RecordStoreUnavailable
from service.records import migrations
from service.records.database import Database
from service.records.engines import WRITES
from service.records.receipt import Receipt
from service.records.repository import ReceiptRepository
from tests.unit.records.stores import minimal

ROOT = Path(__file__).resolve().parents[3]
MIB = 1024 * 1024

WRITER = """
import asyncio, sys
from service.records.database import Database
from service.records.repository import ReceiptRepository
from tests.unit.records.stores import minimal

async def main():
    database = Database.connect(sys.argv[1])
    await database.migrate()
    receipts = ReceiptRepository(database)
    while True:
        receipt = minimal()
        await receipts.add(receipt)
        print(receipt.id, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


async def test_folder_and_files_are_the_owners_alone(database: Database, path: Path) -> None:
    await ReceiptRepository(database).add(minimal())
    modes = {each.name: each.stat().st_mode & 0o777 for each in (path.parent, *path.parent.iterdir())}
    assert modes == {"records": 0o700, "veil.db": 0o600, "veil.db-wal": 0o600, "veil.db-shm": 0o600}


async def test_a_commit_is_on_disk(database: Database) -> None:
    async with database._engine.connect() as connection:
        values = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert values == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1, "busy_timeout": 4000}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://user:hunter2@host/name",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:hunter2?mode=memory&uri=true",
        "postgresql://user:hunter2@host:port/name",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        Database.connect(url)
    assert "hunter2" not in str(caught.value)


async def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database.connect("sqlite:///var/veil.db")
    await database.migrate()
    await database.close()
    assert (tmp_path / "var" / "veil.db").stat().st_size > 0


async def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database.connect(f"sqlite:///{tmp_path / 'file' / 'veil.db'}")
    for refused in (database.check, database.migrate, lambda: ReceiptRepository(database).add(minimal())):
        with pytest.raises(RecordStoreUnavailable):
            await refused()
    await database.close()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "veil.db").write_bytes(os.urandom(8192))
    database = Database.connect(f"sqlite:///{tmp_path / 'veil.db'}")
    with pytest.raises(RecordStoreUnavailable) as caught:
        await database.migrate()
    assert "not a database" in str(caught.value.cause)
    await database.close()


async def test_another_process_that_holds_the_lock(path: Path, url: str, database: Database) -> None:
    impatient = Database.connect(url, timeout=0.5)
    receipts = ReceiptRepository(impatient)
    await receipts.add(minimal())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(RecordStoreUnavailable) as caught:
            await receipts.add(minimal())
        assert time.monotonic() - started < 1.5
        assert "locked" in str(caught.value.cause)
        await impatient.check()
        other.execute("COMMIT")
    await receipts.add(minimal())
    await impatient.close()


async def test_a_migration_waits_for_another_that_is_under_way(url: str) -> None:
    first, second = Database.connect(url), Database.connect(url)
    begun = 0

    @event.listens_for(second._engine.sync_engine, "before_cursor_execute")
    def count_begins(*arguments: object) -> None:
        nonlocal begun
        begun += str(arguments[2]).startswith("BEGIN")

    async with first._engine.connect() as connection:
        await connection.execution_options(**{WRITES: True})
        async with connection.begin():
            await connection.run_sync(migrations.upgrade)
            migrating = asyncio.create_task(second.migrate())
            # Its first transaction looks at the revision, its second migrates.
            while begun < 2:
                await asyncio.sleep(0.01)
            # A second one that did not wait would have read the revision by then.
            await asyncio.wait({migrating}, timeout=0.2)
    await migrating
    await second.check()
    await first.close()
    await second.close()


@contextmanager
def small_file_system(folder: Path) -> Iterator[None]:
    """A file system of one megabyte at `folder`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def small_files(_: Path) -> Iterator[None]:
    """No file of this process may grow beyond one megabyte; needs no privilege."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def fill(receipts: ReceiptRepository, stored: list[Receipt]) -> None:
    """Adds large receipts until one is refused; `stored` are those before it."""
    for _ in range(1000):
        receipt = minimal(policy={"filling": "x" * 10_000})
        await receipts.add(receipt)
        stored.append(receipt)


def give_more_room(folder: Path) -> None:
    """Ends the limit that `small_file_system` or `small_files` set."""
    if folder.is_mount():
        subprocess.run(["mount", "-o", "remount,size=4m", folder], check=True, capture_output=True)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which only root may")


@pytest.mark.parametrize("small", [pytest.param(small_file_system, marks=needs_root), small_files])
async def test_a_full_disk(tmp_path: Path, small: Callable[[Path], AbstractContextManager[None]]) -> None:
    """The receipt that does not fit is refused; those before it stay, the file is whole, and space brings it back."""
    folder = tmp_path / "small"
    folder.mkdir()
    path = folder / "veil.db"
    stored: list[Receipt] = []
    with small(folder):
        database = Database.connect(f"sqlite:///{path}")
        receipts = ReceiptRepository(database)
        await database.migrate()
        with pytest.raises(RecordStoreUnavailable) as caught:
            await fill(receipts, stored)
        assert "full" in str(caught.value.cause) or "disk I/O error" in str(caught.value.cause)
        assert len(stored) > 10
        for receipt in stored:
            assert await receipts.get(receipt.id) == receipt
        with closing(sqlite3.connect(path)) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert raw.execute("SELECT count(*) FROM receipts").fetchone() == (len(stored),)
        give_more_room(folder)
        receipt = minimal()
        await receipts.add(receipt)
        assert await receipts.get(receipt.id) == receipt
        await database.close()


def test_what_was_acknowledged_survives_kill(url: str, path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline() for _ in range(50)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += writer.communicate()[0].splitlines()
    with closing(sqlite3.connect(path)) as raw:
        stored = {UUID(id) for (id,) in raw.execute("SELECT id FROM receipts")}
    assert stored >= {UUID(line.strip()) for line in acknowledged if len(line.strip()) == 36}
