from collections.abc import Callable
from uuid import UUID

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from service.api.auth import GRANTS, ROUTES, Permission
from service.records.keys import Role
from tests.unit.api.rig import Rig, problem

Picture = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}
OPEN = ("/livez", "/readyz", "/docs", "/docs/static/swagger-ui.css", "/openapi.json", "/problems/overloaded")


def test_every_route_has_a_decision(rig: Rig) -> None:
    routes = {(method, context.path) for context in iter_route_contexts(rig.app().routes) for method in context.methods}
    assert routes == set(ROUTES)
    assert set(GRANTS) == set(Role)


def test_every_documented_operation_has_a_decision_and_says_what_it_needs(rig: Rig) -> None:
    """From the OpenAPI document: a route that needs a key says so and lists 401 and 403, one that does not, neither."""
    for path, operations in rig.app().openapi()["paths"].items():
        for method, operation in operations.items():
            needed = ROUTES[method.upper(), path]
            keyed = needed not in (Permission.NONE, Permission.NETWORK)
            assert ("security" in operation) == keyed, path
            assert ("401" in operation["responses"]) == keyed, path
            assert ("403" in operation["responses"]) == (needed is not Permission.NONE), path


@pytest.mark.parametrize("role", Role)
async def test_every_route_asks_the_table(rig: Rig, role: Role) -> None:
    """Each route with each role's key: 403 exactly where the role has no grant, whatever else the answer is."""
    _, token = await rig.token(role)
    async with rig.client(rig.app(keys_needed=True)) as client:
        for (method, path), needed in ROUTES.items():
            if needed in (Permission.NONE, Permission.NETWORK):
                continue
            response = await client.request(method, path.replace("{id}", "0" * 16), headers={"api-key": token})
            assert (response.status_code == 403) == (needed not in GRANTS[role]), (method, path)


async def test_a_route_without_a_decision_is_refused(rig: Rig) -> None:
    app = rig.app()
    app.add_api_route("/v1/forgotten", lambda: {"leak": True}, methods=["GET"])
    async with rig.client(app) as client:
        problem(await client.get("/v1/forgotten"), 403, "not-permitted")


async def test_without_needed_keys_everybody_may_do_everything(client: httpx.AsyncClient, picture: Picture) -> None:
    assert (await client.post("/v1/anonymize", content=picture(), headers=JPEG)).status_code == 200
    page = (await client.get("/v1/receipts")).json()
    assert [each["caller"] for each in page["receipts"]] == [None]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"api-key": "veil_0123456789abcdef_" + "A" * 43},
        {"api-key": ""},
        {"authorization": "Bearer"},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": "Bearer nonsense"},
    ],
)
async def test_where_keys_are_needed_nothing_else_helps(rig: Rig, picture: Picture, headers: dict[str, str]) -> None:
    async with rig.client(rig.app(keys_needed=True)) as client:
        for method, path in ROUTES:
            if ROUTES[method, path] in (Permission.NONE, Permission.NETWORK):
                continue
            response = await client.request(method, path, headers=headers | JPEG, content=picture())
            problem(response, 401, "unauthenticated")
            assert response.headers["www-authenticate"].startswith("Bearer")
        for path in OPEN:
            assert (await client.get(path, headers=headers)).status_code == 200
    assert await rig.receipts() == []


async def test_a_wrong_key_is_refused_even_where_none_is_needed(client: httpx.AsyncClient) -> None:
    problem(await client.get("/v1/models", headers={"api-key": "wrong"}), 401, "unauthenticated")


async def test_both_headers_carry_a_key(rig: Rig) -> None:
    _, token = await rig.token(Role.READ)
    _, other = await rig.token(Role.READ)
    async with rig.client(rig.app(keys_needed=True)) as client:
        for headers in (
            {"authorization": f"Bearer {token}"},
            {"authorization": f"bearer {token}"},
            {"api-key": token},
            {"api-key": token, "authorization": f"Bearer {token}"},
        ):
            assert (await client.get("/v1/models", headers=headers)).status_code == 200
        both = {"api-key": other, "authorization": f"Bearer {token}"}
        problem(await client.get("/v1/models", headers=both), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.ANONYMIZE, {"/v1/anonymize", "/v1/detect", "/v1/models", "/v1/receipts"}),
        (Role.READ, {"/v1/models", "/v1/receipts"}),
        (Role.ADMIN, {"/v1/anonymize", "/v1/detect", "/v1/models", "/v1/receipts"}),
    ],
)
async def test_each_role_may_do_what_the_table_says(rig: Rig, picture: Picture, role: Role, allowed: set[str]) -> None:
    _, token = await rig.token(role)
    async with rig.client(rig.app(keys_needed=True)) as client:
        for method, path in (
            ("POST", "/v1/anonymize"),
            ("POST", "/v1/detect"),
            ("GET", "/v1/models"),
            ("GET", "/v1/receipts"),
        ):
            response = await client.request(method, path, headers={**JPEG, "api-key": token}, content=picture())
            if path in allowed:
                assert response.status_code == 200
            else:
                problem(response, 403, "not-permitted")


async def test_a_revoked_key_is_refused(rig: Rig) -> None:
    key, token = await rig.token(Role.ADMIN)
    await rig.services.keys.revoke(key)
    async with rig.client(rig.app(keys_needed=True)) as client:
        problem(await client.get("/v1/models", headers={"api-key": token}), 401, "unauthenticated")


async def test_a_key_that_may_only_anonymize_sees_only_its_own_receipts(rig: Rig, picture: Picture) -> None:
    mine, my_token = await rig.token(Role.ANONYMIZE)
    other, other_token = await rig.token(Role.ANONYMIZE)
    _, reader = await rig.token(Role.READ)
    async with rig.client(rig.app(keys_needed=True)) as client:
        made = {}
        for key, token in ((mine, my_token), (other, other_token)):
            response = await client.post("/v1/detect", content=picture(), headers={**JPEG, "api-key": token})
            made[key] = response.headers["veil-receipt"]
            assert (await rig.services.receipts.get(UUID(made[key]))).caller == key

        async def listed(token: str, **query: str) -> list[str]:
            response = await client.get("/v1/receipts", params=query, headers={"api-key": token})
            assert response.status_code == 200
            return [each["id"] for each in response.json()["receipts"]]

        assert await listed(my_token) == await listed(my_token, caller=mine) == [made[mine]]
        refused = await client.get("/v1/receipts", params={"caller": other}, headers={"api-key": my_token})
        problem(refused, 403, "not-permitted")
        assert (await client.get(f"/v1/receipts/{made[mine]}", headers={"api-key": my_token})).status_code == 200
        hidden = await client.get(f"/v1/receipts/{made[other]}", headers={"api-key": my_token})
        missing = await client.get("/v1/receipts/01938a5c-7b1e-7c3a-9d42-5f0c8f1e2a3b", headers={"api-key": my_token})
        assert problem(hidden, 404, "receipt-not-found") | {"request_id": 0} == problem(
            missing, 404, "receipt-not-found"
        ) | {"request_id": 0}
        assert set(await listed(reader)) == set(made.values())
        assert await listed(reader, caller=other) == [made[other]]
