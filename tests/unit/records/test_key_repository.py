"""Keys let in who holds one, until they are revoked: on SQLite here, on PostgreSQL in `tests/postgres`."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from service.errors import InvalidRequest
from service.records import keys as keys_module
from service.records.database import Database
from service.records.keys import KeyRepository, Role
from service.records.tables import api_keys
from tests.unit.records.stores import TIMEOUT


@pytest.fixture
async def replica(url: str, keys: KeyRepository) -> AsyncIterator[KeyRepository]:
    """Another replica on the same database, with its own cache."""
    database = Database.connect(url, timeout=TIMEOUT)
    yield KeyRepository(database)
    await database.close()


@pytest.mark.parametrize("role", Role)
async def test_a_token_names_its_key(keys: KeyRepository, replica: KeyRepository, role: Role) -> None:
    key, token = await keys.create("intake", role)
    assert token.startswith(f"veil_{key.id}_")
    assert (key.name, key.role, key.revoked_at) == ("intake", role, None)
    assert await keys.authenticate(token) == key
    assert await replica.authenticate(token) == key


async def test_only_a_hash_is_stored(keys: KeyRepository, database: Database) -> None:
    _, token = await keys.create("intake", Role.READ)
    [row] = await database.rows(select(api_keys))
    assert row["hash"] == hashlib.sha256(token.encode()).hexdigest()
    assert token.split("_", 2)[2] not in str(row)


async def test_tokens_are_long_and_all_different(keys: KeyRepository) -> None:
    secrets = {(await keys.create(f"key {number}", Role.READ))[1].split("_", 2)[2] for number in range(20)}
    assert len(secrets) == 20
    assert {len(secret) for secret in secrets} == {43}


async def test_anything_but_a_token_lets_nobody_in(keys: KeyRepository) -> None:
    key, token = await keys.create("intake", Role.ADMIN)
    other, other_token = await keys.create("other", Role.READ)
    secret = token.split("_", 2)[2]
    wrong = [
        "",
        "veil",
        token[:-1],
        token + "A",
        token.upper(),
        f" {token}",
        f"{token}\n",
        f"veil_{key.id}_{'A' * 43}",
        f"veil_{other.id}_{secret}",
        f"veil_{'0' * 16}_{secret}",
        other_token.replace(other.id, key.id),
        "ü" * 100_000,
    ]
    for warm in (False, True):
        for text in wrong:
            assert await keys.authenticate(text) is None, (warm, text[:80])
        assert await keys.authenticate(token) == key


async def test_a_revoked_key_stops_here_at_once_and_elsewhere_soon(
    keys: KeyRepository, replica: KeyRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = keys_module.time.monotonic()
    monkeypatch.setattr(keys_module.time, "monotonic", lambda: now)
    key, token = await keys.create("intake", Role.ANONYMIZE)
    assert await keys.authenticate(token) == key
    assert await replica.authenticate(token) == key
    revoked = await keys.revoke(key.id)
    assert revoked.revoked_at is not None
    assert await keys.authenticate(token) is None
    assert await replica.authenticate(token) == key
    now += keys_module.CACHE_SECONDS
    assert await replica.authenticate(token) is None


async def test_revoking_by_name_and_twice(keys: KeyRepository) -> None:
    key, token = await keys.create("intake", Role.ANONYMIZE)
    first = await keys.revoke("intake")
    assert await keys.revoke(key.id) == first
    assert await keys.list() == (first,)
    assert await keys.authenticate(token) is None
    with pytest.raises(InvalidRequest):
        await keys.revoke("nobody")


async def test_an_id_goes_before_a_name_that_looks_like_it(keys: KeyRepository) -> None:
    key, _ = await keys.create("intake", Role.ANONYMIZE)
    impostor, _ = await keys.create(key.id, Role.ANONYMIZE)
    assert (await keys.revoke(key.id)).id == key.id
    assert [k.revoked_at is None for k in await keys.list()] == [k.id == impostor.id for k in await keys.list()]


@pytest.mark.parametrize("name", ["intake", "", "x" * 101, "a\nb", "a\0b"])
async def test_names_are_unique_and_printable(keys: KeyRepository, name: str) -> None:
    await keys.create("intake", Role.READ)
    with pytest.raises(InvalidRequest) as caught:
        await keys.create(name, Role.READ)
    assert [problem.pointer for problem in caught.value.problems] == ["/name"]
    assert len(await keys.list()) == 1


async def test_any_active(keys: KeyRepository) -> None:
    assert not await keys.any_active()
    key, _ = await keys.create("intake", Role.READ)
    assert await keys.any_active()
    await keys.revoke(key.id)
    assert not await keys.any_active()


async def test_a_key_in_use_outlives_a_blip_of_the_database(url: str, keys: KeyRepository) -> None:
    _, token = await keys.create("intake", Role.READ)
    database = Database.connect(url, timeout=TIMEOUT)
    replica = KeyRepository(database)
    known = await replica.authenticate(token)
    replica._database = Database.connect("postgresql://nobody@127.0.0.1:1/nothing", timeout=1)
    try:
        assert await replica.authenticate(token) == known
    finally:
        await replica._database.close()
        await database.close()


async def test_the_cache_is_bounded(keys: KeyRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "CACHE_KEYS", 3)
    tokens = [(await keys.create(f"key {number}", Role.READ))[1] for number in range(5)]
    for token in tokens * 2:
        assert await keys.authenticate(token) is not None
    assert len(keys._cache) == 3
