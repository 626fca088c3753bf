"""The runbooks, followed: what is restored is what was there, key by key and receipt by receipt."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from service.records.database import Database
from service.records.migrations import downgrade, head, known
from service.records.repository import ReceiptRepository
from tests.docs.runbooks import follow
from tests.e2e.setups import encoded, portrait
from tests.postgres.server import PostgresProcess
from tests.service_process import ServiceProcess
from tests.unit.records.stores import full, minimal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def stored(url: str, table: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(f"SELECT to_jsonb(t) FROM {table} t ORDER BY t::text")]  # type: ignore[arg-type]


def test_a_backup_brings_back_every_receipt_and_key(postgres_process: PostgresProcess, tmp_path: Path) -> None:
    owner = postgres_process.create_database("to_back_up")
    restored = postgres_process.url("veil_restored")
    (tmp_path / "service").mkdir()
    environ = {"VEIL_DATABASE__URL": owner, "VEIL_ACCESS__KEYS": "true"}

    def asked(service: ServiceProcess, key: str) -> Any:
        answer = httpx.get(f"{service.url}/v1/receipts", headers={"api-key": key}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    service = ServiceProcess(tmp_path / "service", environ)
    made = service.run("keys", "create", "--name", "first", "--role", "admin")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    with service:
        for body, status in ((encoded(portrait(), "JPEG"), 200), (b"not a picture", 415)):
            headers = {"Content-Type": "application/octet-stream", "api-key": key}
            done = httpx.post(
                f"{service.url}/v1/anonymize", content=body, headers=headers, params={"source_ref": "run-7"}, timeout=60
            )
            assert done.status_code == status, done.text
        before = asked(service, key)
        assert service.stop() == 0
    assert len(before["receipts"]) == 2

    server = postgres_process.url("postgres")
    urls = {"OWNER_URL": owner, "RESTORED_URL": restored, "SERVER_URL": server, "BACKUPS": str(tmp_path)}
    said = follow("backup-and-restore.md", postgres_process, urls)
    assert "WRONG" not in said
    assert (tmp_path / "veil.dump").stat().st_mode & 0o077 == 0

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE to_back_up")
    service = ServiceProcess(tmp_path / "service", environ | {"VEIL_DATABASE__URL": restored})
    with service:
        assert asked(service, key) == before
        denied = httpx.get(f"{service.url}/v1/receipts", headers={"api-key": key[:-1] + "x"}, timeout=30)
        assert denied.status_code == 401


async def test_an_upgrade_keeps_every_receipt_and_can_be_taken_back(
    postgres_process: PostgresProcess, tmp_path: Path
) -> None:
    owner = postgres_process.create_database("to_upgrade")
    rolled_back = postgres_process.url("veil_rolled_back")
    previous = sorted(known())[-2]
    database = Database.connect(owner)
    await database.migrate()
    receipts = [full(), *(minimal(source_ref=str(n)) for n in range(20))]
    for receipt in receipts:
        await ReceiptRepository(database).add(receipt)
    async with database._engine.begin() as connection:
        await connection.run_sync(downgrade, previous)
    await database.close()
    before = stored(owner, "receipts")
    assert stored(owner, "alembic_version") == [{"version_num": previous}]

    follow(
        "upgrade-and-roll-back.md",
        postgres_process,
        {
            "OWNER_URL": owner,
            "ROLLED_BACK_URL": rolled_back,
            "SERVER_URL": postgres_process.url("postgres"),
            "BACKUPS": str(tmp_path),
        },
    )
    assert stored(owner, "alembic_version") == [{"version_num": head()}]
    assert stored(rolled_back, "alembic_version") == [{"version_num": previous}]
    assert stored(rolled_back, "receipts") == before
    upgraded = Database.connect(owner)
    repository = ReceiptRepository(upgraded)
    assert [await repository.get(receipt.id) for receipt in receipts] == receipts
    await upgraded.close()
    assert (tmp_path / "receipts-since.jsonl").read_text() == ""


def test_receipts_since_the_upgrade_are_written_out(postgres_process: PostgresProcess, tmp_path: Path) -> None:
    """The last block of the roll-back alone, on a database that went on."""
    owner = postgres_process.create_database("went_on")
    old = minimal()
    later = minimal(received_at=old.received_at + timedelta(days=1))

    async def fill() -> None:
        database = Database.connect(owner)
        await database.migrate()
        for receipt in (old, later):
            await ReceiptRepository(database).add(receipt)
        await database.close()

    asyncio.run(fill())
    (tmp_path / "receipts.txt").write_text(f"1|{old.received_at.isoformat()}\n", encoding="ascii")
    environ = {"OWNER_URL": owner, "BACKUPS": str(tmp_path)}
    follow("upgrade-and-roll-back.md", postgres_process, environ, since='psql "$OWNER_URL" -At --set ON_ERROR_STOP=1')
    written = (tmp_path / "receipts-since.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in written] == [str(later.id)]
