"""Keys expire, have quotas that all replicas count together, and audit who made them; PostgreSQL: tests/postgres."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from service.errors import InvalidRequest, Unauthenticated
from service.records import quotas as quotas_module
from service.records.audit import Action, Actor, AuditLog
from service.records.database import Database
from service.records.key import Key, Quota, Role, Terms
from service.records.keys import MAX_QUOTA, KeyRepository
from service.records.quotas import QuotaRepository
from service.records.tables import key_usage
from tests.unit.records.stores import TIMEOUT

FULL = Terms(
    expires_at=datetime(2126, 1, 1, tzinfo=UTC),
    quota=Quota(60, 600),
    options={"obscure.plate": "fill", "metadata": "geo"},
    fixed=frozenset({"metadata", "exclude"}),
)


@pytest.fixture
async def replicas(url: str, keys: KeyRepository) -> AsyncIterator[list[QuotaRepository]]:
    databases = [Database.connect(url, timeout=TIMEOUT) for _ in range(3)]
    yield [QuotaRepository(database) for database in databases]
    for database in databases:
        await database.close()


async def made(keys: KeyRepository, **quota: int) -> Key:
    return (await keys.create("intake", Role.ANONYMIZE, Terms(quota=Quota(**quota))))[0]


async def test_terms_come_back_as_they_were_given(keys: KeyRepository) -> None:
    key, token = await keys.create("intake", Role.REVIEW, FULL)
    assert key.terms == FULL
    assert await keys.authenticate(token) == key == await keys.get("intake") == await keys.get(key.id)
    plain, _ = await keys.create("plain", Role.READ)
    assert (await keys.get(plain.id)) == plain
    assert plain.terms == Terms()
    assert await keys.get("nobody") is None


async def test_an_expired_key_lets_nobody_in_even_from_the_cache(keys: KeyRepository, database: Database) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.4)
    key, token = await keys.create("intake", Role.READ, Terms(expires_at=soon))
    assert await keys.authenticate(token) == key
    assert await keys.any_active()
    await asyncio.sleep(0.5)
    with pytest.raises(Unauthenticated, match="expired"):
        await keys.authenticate(token)
    assert await keys.authenticate(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert not await keys.any_active()


async def test_terms_that_make_no_sense(keys: KeyRepository) -> None:
    past = Terms(datetime(2020, 1, 1, tzinfo=UTC), Quota(0, MAX_QUOTA + 1))
    with pytest.raises(InvalidRequest) as caught:
        await keys.create("", Role.READ, past)
    assert [p.pointer for p in caught.value.problems] == ["/name", "/expires", "/quota_requests", "/quota_megapixels"]
    assert await keys.list() == ()


async def test_making_and_revoking_is_audited_once(keys: KeyRepository, database: Database) -> None:
    admin, _ = await keys.create("admin", Role.ADMIN)
    key, _ = await keys.create("intake", Role.ANONYMIZE, FULL, by=Actor.caller(admin.id))
    for _ in range(2):
        await keys.revoke(key.id, by=Actor.caller(admin.id))
    with pytest.raises(InvalidRequest):
        await keys.create("intake", Role.READ)
    entries = (await AuditLog(database).page()).entries
    assert [(e.action, e.subject, e.actor.key_id) for e in entries] == [
        (Action.KEY_REVOKED, key.id, admin.id),
        (Action.KEY_CREATED, key.id, admin.id),
        (Action.KEY_CREATED, admin.id, None),
    ]
    assert entries[1].facts["fixed"] == ["exclude", "metadata"]
    assert "geo" not in str(entries[1].facts), "values may name places; names of options do"


@pytest.mark.parametrize(
    ("fixed", "named", "refused"),
    [
        ("obscure", "obscure", True),
        ("obscure", "obscure.plate", True),
        ("obscure.plate", "obscure", True),
        ("obscure.plate", "obscure.plate", True),
        ("obscure.plate", "obscure.face", False),
        ("threshold", "threshold.face", True),
        ("metadata", "geo", False),
    ],
)
def test_fixed_options(fixed: str, named: str, refused: bool) -> None:
    assert Terms(fixed=frozenset({fixed})).fixes(named) == refused


async def test_a_key_without_quotas_is_not_counted(keys: KeyRepository, replicas: list[QuotaRepository]) -> None:
    key = await made(keys)
    replicas[0]._database = None  # type: ignore[assignment]
    assert await replicas[0].take_request(key, picture=True) == quotas_module.Taken()
    assert await replicas[0].take_megapixels(key, 1e6) == quotas_module.Taken()


async def test_replicas_together_grant_a_minutes_requests_and_no_more(
    keys: KeyRepository, replicas: list[QuotaRepository]
) -> None:
    """Sixty at once on three replicas; one is refilled each ten seconds."""
    key = await made(keys, requests=6)
    taken = await asyncio.gather(*(replicas[i % 3].take_request(key, picture=True) for i in range(60)))
    granted = [each for each in taken if not each.refused_by]
    assert 6 <= len(granted) <= 7
    assert sorted((each.levels[0].left for each in granted), reverse=True)[:6] == [5, 4, 3, 2, 1, 0]
    refused = next(each for each in taken if each.refused_by)
    assert refused.refused_by == ("requests",)
    assert refused.levels[0].left == 0
    assert 5 < refused.retry_after <= 10


async def test_a_bucket_is_refilled_evenly(keys: KeyRepository, replicas: list[QuotaRepository]) -> None:
    key = await made(keys, requests=30)
    for _ in range(600):
        taken = await replicas[0].take_request(key, picture=False)
        if taken.refused_by:
            break
    assert taken.refused_by
    assert 0 < taken.retry_after <= 2
    assert (await replicas[0].take_request(key, picture=False)).refused_by
    await asyncio.sleep(taken.retry_after + 0.01)
    assert not (await replicas[0].take_request(key, picture=False)).refused_by


async def test_the_last_picture_may_go_over_and_the_next_waits(
    keys: KeyRepository, replicas: list[QuotaRepository]
) -> None:
    one, other, _ = replicas
    key = await made(keys, megapixels=100)
    taken = await one.take_megapixels(key, 90)
    assert (taken.refused_by, taken.levels[0].left) == ((), 10)
    assert not (await other.take_request(key, picture=True)).refused_by
    assert not (await other.take_megapixels(key, 60)).refused_by
    for refused in (await one.take_megapixels(key, 0.1), await other.take_request(key, picture=True)):
        assert refused.refused_by == ("megapixels",)
        assert refused.levels[0].left == 0
        assert 25 < refused.retry_after <= 30
    assert not (await other.take_request(key, picture=False)).refused_by, "reading receipts needs no pixels"


async def test_one_picture_blocks_for_an_hour_at_most(keys: KeyRepository, replicas: list[QuotaRepository]) -> None:
    key = await made(keys, megapixels=1)
    await replicas[0].take_megapixels(key, 150)
    refused = await replicas[0].take_megapixels(key, 150)
    assert refused.refused_by
    assert 3000 < refused.retry_after <= quotas_module.MOST_DEBT


async def test_a_clock_that_was_put_back_locks_nobody_out(
    keys: KeyRepository, replicas: list[QuotaRepository], database: Database
) -> None:
    key = await made(keys, requests=5, megapixels=5)
    await replicas[0].take_request(key, picture=True)
    await database.execute(update(key_usage).values(requests_until=4e9, megapixels_until=4e9))
    taken = await replicas[0].take_request(key, picture=True)
    assert not taken.refused_by
    assert taken.levels[0].left == 4
