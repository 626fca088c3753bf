"""Keys over HTTP: an administrator makes, lists, shows and revokes them."""

import httpx
import pytest

from service.records.audit import Action, AuditLog
from service.records.key import Role
from tests.unit.api.rig import Rig, problem

NEW = {
    "name": "viewer",
    "role": "anonymize",
    "expires_at": "2126-01-01T00:00:00Z",
    "quota_requests": 60,
    "quota_megapixels": 600,
    "options": {"obscure": "fill"},
    "fixed": ["obscure"],
}


@pytest.fixture
async def admin(rig: Rig) -> dict[str, str]:
    _, token = await rig.token(Role.ADMIN)
    return {"api-key": token}


@pytest.fixture
async def client(rig: Rig, admin: dict[str, str]):  # type: ignore[no-untyped-def]
    async with rig.client(rig.app(keys_needed=True)) as made:
        made.headers.update(admin)
        yield made


async def test_a_key_lives_from_its_making_to_its_revoking(rig: Rig, client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/keys", json=NEW)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    key, token = made.json()["key"], made.json()["token"]
    assert {name: key[name] for name in NEW} == NEW
    assert key["active"]
    listed = await client.get("/v1/keys")
    assert key in listed.json()["keys"]
    assert (await client.get(f"/v1/keys/{key['id']}")).json() == key
    assert token.split("_", 2)[2] not in listed.text
    assert (await client.get("/v1/models", headers={"api-key": token})).status_code == 200
    revoked = await client.delete(f"/v1/keys/{key['id']}")
    assert revoked.status_code == 200
    assert not revoked.json()["active"]
    assert (await client.delete(f"/v1/keys/{key['id']}")).json() == revoked.json()
    problem(await client.get("/v1/models", headers={"api-key": token}), 401, "unauthenticated")
    entries = (await AuditLog(rig.database).page(subject=key["id"])).entries
    assert [each.action for each in entries] == [Action.KEY_REVOKED, Action.KEY_CREATED]
    assert {each.actor.key_id for each in entries} != {None}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"role": "owner"}, "/role"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires"),
        ({"expires_at": "2126-01-01T00:00:00"}, "/expires_at"),
        ({"quota_requests": 0}, "/quota_requests"),
        ({"options": {"obscure": "nothing"}}, "/obscure"),
        ({"options": {"obscure": 3}}, "/options/obscure"),
        ({"fixed": ["s3cret"]}, "/fixed/s3cret"),
        ({"extra": 1}, "/extra"),
    ],
)
async def test_what_is_wrong_with_a_new_key(client: httpx.AsyncClient, change: dict[str, object], pointer: str) -> None:
    body = problem(await client.post("/v1/keys", json=NEW | change), 422, "invalid-request")
    assert pointer in [each["pointer"] for each in body["problems"]]
    assert len((await client.get("/v1/keys")).json()["keys"]) == 1


async def test_a_body_that_is_no_json_or_too_long(client: httpx.AsyncClient) -> None:
    problem(await client.post("/v1/keys", content=b"{"), 400, "malformed-request")
    problem(await client.post("/v1/keys", content=b" " * 70_000), 413, "upload-too-large")


async def test_nobody_without_a_key_makes_the_service_read_a_body(rig: Rig) -> None:
    """FastAPI would read a body that it knows of before it asks who is calling."""
    read = 0

    async def endless():  # type: ignore[no-untyped-def]
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b"x" * 1000

    async with rig.client(rig.app(keys_needed=True)) as stranger:
        problem(await stranger.post("/v1/keys", content=endless()), 401, "unauthenticated")


async def test_a_key_is_addressed_by_its_id_only(client: httpx.AsyncClient) -> None:
    await client.post("/v1/keys", json=NEW)
    for method in ("GET", "DELETE"):
        for unknown in ("viewer", "0" * 16):
            problem(await client.request(method, f"/v1/keys/{unknown}"), 404, "key-not-found")
