"""The service as a database role of its own: it can do its work, and nothing that would hide what it did."""

import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from service.records.audit import SERVICE, Action, AuditLog
from service.records.database import Database
from service.records.erasure import Erasure
from service.records.keys import KeyRepository, Role
from service.records.repository import ReceiptRepository
from service.records.retention import Purged, Retention, RetentionRepository
from service.records.signing import PublicKey
from service.records.signing_keys import SigningKeyRepository
from tests.postgres.server import PostgresProcess
from tests.unit.records.stores import full, minimal

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "postgres" / "service-role.sql"


@pytest.fixture
def role_url(url: str, database: Database, postgres_process: PostgresProcess) -> Iterator[str]:
    """The migrated database's URL for a role that has nothing but `deploy/postgres/service-role.sql`."""
    command = [postgres_process._programs / "psql", url, "--set", "ON_ERROR_STOP=1", "--quiet", "--file", SCRIPT]
    for _ in range(2):  # harmless when run again
        subprocess.run(command, check=True, capture_output=True, env=postgres_process._environ(), cwd="/")
    name, password = f"app_{secrets.token_hex(4)}", secrets.token_hex(8)
    with psycopg.connect(url, autocommit=True) as owner:
        statement = "CREATE ROLE {} LOGIN PASSWORD {} IN ROLE veil_service"
        owner.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Literal(password)))
    host = url.partition("@")[2]
    yield f"postgresql://{name}:{password}@{host}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
async def service(role_url: str) -> AsyncIterator[Database]:
    database = Database.connect(role_url)
    yield database
    await database.close()


async def test_it_can_do_the_work_of_the_service(service: Database) -> None:
    await service.check()
    now = datetime.now(UTC)
    receipts, keys, log = ReceiptRepository(service), KeyRepository(service), AuditLog(service)
    old = minimal(received_at=now - timedelta(days=40))
    boxed = minimal(received_at=now - timedelta(days=9), detections=full().detections)
    wanted = minimal(received_at=now, source_ref="a")
    for receipt in (old, boxed, wanted):
        await receipts.add(receipt)
    _, token = await keys.create("intake", Role.READ)
    key = await keys.authenticate(token)
    assert key is not None
    await keys.revoke(key.id)
    await SigningKeyRepository(service).register(PublicKey(b"k" * 32))
    await SigningKeyRepository(service).revoke(PublicKey(b"k" * 32).kid, SERVICE)
    retention = RetentionRepository(service)
    await retention.state(Retention(receipts_days=30, detections_days=5, audit_days=365), SERVICE)
    assert await retention.purge(SERVICE) == Purged(receipts=1, detections=1)
    assert await Erasure(service).erase("a", SERVICE) == 1
    assert [receipt.id for receipt in (await receipts.page()).receipts] == [boxed.id]
    assert len((await log.page(action=Action.PURGED)).entries) == 2


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE audit SET subject = 'other'", errors.InsufficientPrivilege),
        ("DELETE FROM audit", errors.IntegrityError),
        ("TRUNCATE audit", errors.InsufficientPrivilege),
        ("DROP TABLE audit", errors.InsufficientPrivilege),
        ("ALTER TABLE audit DISABLE TRIGGER ALL", errors.InsufficientPrivilege),
        ("DROP TRIGGER veil_guard ON audit", errors.InsufficientPrivilege),
        ("SET session_replication_role = replica", errors.InsufficientPrivilege),
        ("CREATE OR REPLACE FUNCTION veil_guard_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
         errors.InsufficientPrivilege),
        ("CREATE TABLE public.other (a int)", errors.InsufficientPrivilege),
        # A table of the session's own does not get between the trigger and the retention.
        ("CREATE TEMP TABLE retention AS SELECT 0 AS audit_days, 0 AS receipts_days; DELETE FROM audit",
         errors.IntegrityError),
        ("UPDATE receipts SET outcome = 'failed'", errors.InsufficientPrivilege),
        ("UPDATE receipts SET detections = NULL", errors.IntegrityError),
        ("DELETE FROM receipts", errors.IntegrityError),
        ("TRUNCATE receipts CASCADE", errors.InsufficientPrivilege),
        ("DELETE FROM retention", errors.InsufficientPrivilege),
        ("UPDATE retention SET audit_days = 1", errors.CheckViolation),
        ("UPDATE signing_keys SET public = 'other'", errors.InsufficientPrivilege),
        ("UPDATE alembic_version SET version_num = '0001'", errors.InsufficientPrivilege),
        ("DELETE FROM api_keys", errors.InsufficientPrivilege),
        ("DELETE FROM verdicts", errors.InsufficientPrivilege),
    ],
)  # fmt: skip
async def test_it_cannot_hide_what_it_did(
    service: Database, role_url: str, statement: str, error: type[psycopg.Error]
) -> None:
    await ReceiptRepository(service).add(minimal(received_at=datetime.now(UTC), detections=full().detections))
    await RetentionRepository(service).state(Retention(receipts_days=1), SERVICE)
    log = AuditLog(service)
    await log.add(SERVICE, Action.PURGED)
    before = (await log.page()).entries
    with psycopg.connect(role_url) as session, pytest.raises(error):
        session.execute(statement)
    assert (await log.page()).entries == before


async def test_an_erasure_covers_its_own_transaction_only(service: Database, role_url: str) -> None:
    """An entry of an erasure does not open the receipts for what comes after it."""
    await ReceiptRepository(service).add(minimal(source_ref="a"))
    kept = minimal()
    await ReceiptRepository(service).add(kept)
    await Erasure(service).erase("a", SERVICE)
    with psycopg.connect(role_url) as session, pytest.raises(errors.IntegrityError):
        session.execute("DELETE FROM receipts")
    assert [receipt.id for receipt in (await ReceiptRepository(service).page()).receipts] == [kept.id]


@pytest.mark.parametrize("table", ["audit", "receipts", "retention", "signing_keys", "samples, verdicts"])
async def test_not_even_the_owner_truncates_by_mistake(url: str, database: Database, table: str) -> None:
    with psycopg.connect(url) as owner, pytest.raises(errors.IntegrityError):
        owner.execute(f"TRUNCATE {table}".encode())
