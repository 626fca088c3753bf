"""The page's files, what they may load, and who else's pages may call the API."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from service.api.cors import EXPOSED
from service.page import FOLDER, files
from service.records.audit import Action
from service.records.key import Role
from tests.unit.api.rig import Rig, problem

ORIGIN = "https://viewer.example"
JPEG = {"content-type": "image/jpeg"}


async def test_every_file_that_the_page_names_is_there(client: httpx.AsyncClient) -> None:
    """Links of the document, of styles, and of modules, from file to file; nothing is left over or of another host."""
    index = (await client.get("/")).text
    waiting = set(re.findall(r"""(?:src|href)="page/([^"]+)\"""", index))
    assert not re.search(r"<script(?![^>]*src=)|<style|style=|\son\w+=", index), "inline"
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = await client.get(f"/page/{path}")
        assert answer.status_code == 200, path
        if path.startswith("vendor/"):
            found = re.findall(r"""(?:from|import)\s*["'](\.[^"']+)["']""", answer.text)
        else:
            assert not re.search(r"""["'(]https?://(?!www\.w3\.org/2000/svg)""", answer.text), path
            found = re.findall(r"""(?:from |import\()["'](\.[^"']+)["']""", answer.text)
            waiting |= set(re.findall(r"""["']page/([^"']+)["']""", answer.text)) - seen
        base = FOLDER / path
        waiting |= {(base.parent / each).resolve().relative_to(FOLDER).as_posix() for each in found} - seen
    left = {name for name in files() if not name.endswith(".txt")} - seen - {"index.html"}
    assert left == set()
    libraries = {name.split("/")[1] for name in seen if name.startswith("vendor/")}
    assert {f"vendor/{name}/LICENSE.txt" for name in libraries} <= set(files())


async def test_only_the_page_is_served(client: httpx.AsyncClient) -> None:
    for path in ("__init__.py", "..%2f__init__.py", "%2e%2e/app.py", "script", "script/", ""):
        problem(await client.get(f"/page/{path}"), 404, "not-found")


async def test_a_file_is_asked_for_again_and_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/page/script/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get("/page/script/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_without_the_page_the_api_is_the_same(rig: Rig) -> None:
    app = rig.app(page=False)
    async with rig.client(app) as client:
        problem(await client.get("/"), 404, "not-found")
        problem(await client.get("/page/script/main.js"), 404, "not-found")
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.get("/openapi.json")).json() == rig.app().openapi()


async def test_a_key_is_told_what_it_may_ask_for(rig: Rig) -> None:
    terms = {"options": {"obscure": "fill"}, "fixed": frozenset({"obscure", "threshold"})}
    id, token = await rig.token(Role.ANONYMIZE, **terms)
    async with rig.client(rig.app(keys_needed=True)) as client:
        problem(await client.get("/v1/options"), 401, "unauthenticated")
        offer = (await client.get("/v1/options", headers={"api-key": token})).json()
    assert (offer["role"], offer["key"], offer["exclude"]) == ("anonymize", id, False)
    assert (offer["options"], offer["fixed"]) == ({"obscure": "fill"}, ["obscure", "threshold"])
    defaults = {each.name: each for each in rig.services.rules.defaults.classes}
    assert {each["name"]: each["threshold"] for each in offer["classes"]} == {
        n: d.threshold for n, d in defaults.items()
    }
    async with rig.client(rig.app(rules=replace(rig.services.rules, allow_exclude=True))) as client:
        assert (await client.get("/v1/options")).json()["exclude"] is True


async def test_statistics_are_for_admins_and_audited(rig: Rig, picture: Callable[..., bytes]) -> None:
    id, token = await rig.token(Role.ADMIN)
    _, review = await rig.token(Role.REVIEW)
    async with rig.client(rig.app(keys_needed=True)) as client:
        done = await client.post("/v1/anonymize", content=picture(), headers=JPEG | {"api-key": token})
        assert done.status_code == 200
        problem(await client.get("/v1/statistics", headers={"api-key": review}), 403, "not-permitted")
        answer = await client.get("/v1/statistics", headers={"api-key": token})
        assert answer.status_code == 200
        found = answer.json()
        query = {"since": "2020-01-01T00:00:00Z"}
        problem(await client.get("/v1/statistics", params=query, headers={"api-key": token}), 422, "invalid-request")
    assert [each["day"] for each in found["days"]] == [datetime.now(UTC).date().isoformat()]
    assert found["days"][0]["outcomes"] == {"ok": 1}
    assert found["callers"][0]["caller"] == id
    assert {"decode", "detect"} <= {each["stage"] for each in found["stages"]}
    entries = (await rig.services.audit.page(action=Action.RECEIPTS_REPORTED)).entries
    assert [(each.actor.key_id, each.facts["receipts"]) for each in entries] == [(id, 1)]


@pytest.mark.parametrize("projection", ["planar", "equirectangular"])
async def test_an_answer_says_how_the_picture_was_looked_at(
    client: httpx.AsyncClient, picture: Callable[..., bytes], projection: str
) -> None:
    sent = picture(width=640, height=320)
    answer = await client.post("/v1/anonymize", params={"projection": projection}, content=sent, headers=JPEG)
    assert answer.status_code == 200
    assert answer.headers["veil-projection"] == projection


@pytest.fixture
async def listed(rig: Rig) -> httpx.AsyncClient:
    return rig.client(rig.app(origins=(ORIGIN,), keys_needed=True))


async def test_a_listed_origin_may_ask_and_read(rig: Rig, listed: httpx.AsyncClient) -> None:
    _, token = await rig.token(Role.ANONYMIZE)
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    async with listed as client:
        before = await client.options("/v1/anonymize", headers=asked)
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == ORIGIN
        models = await client.get("/v1/models", headers={"origin": ORIGIN, "api-key": token})
        assert models.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in models.headers["vary"]
        assert "access-control-allow-credentials" not in models.headers
        exposed = {each.strip().lower() for each in models.headers["access-control-expose-headers"].split(",")}
        assert exposed == {each.lower() for each in EXPOSED}
        for failed, status in (("/v1/models", 401), ("/nothing", 404)):
            answer = await client.get(failed, headers={"origin": ORIGIN})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == ORIGIN, failed


async def test_every_header_that_an_answer_documents_can_be_read(rig: Rig) -> None:
    documented = {
        name
        for operations in rig.app().openapi()["paths"].values()
        for operation in operations.values()
        for response in operation["responses"].values()
        for name in response.get("headers", {})
    }
    assert documented - {"WWW-Authenticate"} <= set(EXPOSED)


async def test_another_origin_may_not(rig: Rig, listed: httpx.AsyncClient) -> None:
    asked = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    async with listed as client:
        refused = await client.options("/v1/anonymize", headers=asked)
        body = problem(refused, 403, "origin-not-allowed")
        assert "VEIL_CORS__ORIGINS" in body["remedy"]
        assert "access-control-allow-origin" not in refused.headers
        answer = await client.get("/livez", headers={"origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in answer.headers
    async with rig.client() as client:
        answer = await client.get("/livez", headers={"origin": ORIGIN})
        assert "access-control-allow-origin" not in answer.headers, "no origin is listed by default"
