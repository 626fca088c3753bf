import json
from collections.abc import Iterator

import httpx
import pytest

from service.api.problems import CLIENT_CLOSED, KINDS, all_problems
from service.errors import InvalidRequest, Overloaded, RecordStoreUnavailable, Unauthenticated, VeilError
from tests.unit.api.rig import Rig, problem


def subclasses(of: type[VeilError]) -> Iterator[type[VeilError]]:
    yield of
    for each in of.__subclasses__():
        yield from subclasses(each)


def test_every_failure_is_in_the_one_table() -> None:
    everything = set(subclasses(VeilError))
    assert everything == set(KINDS) == set(all_problems())
    assert len({each.slug for each in everything}) == len(everything)
    assert all(400 <= kind.status < 600 and kind.remedy for kind in KINDS.values())


@pytest.mark.parametrize("kind", sorted(KINDS, key=lambda kind: kind.slug), ids=lambda kind: kind.slug)
async def test_every_failure_is_answered_as_a_problem_document(rig: Rig, kind: type[VeilError]) -> None:
    """Raised from a dependency of a route, as any of them may be."""

    class Store:
        async def get(self, _id: object) -> None:
            raise kind

    async with rig.client(rig.app(receipts=Store())) as client:
        response = await client.get("/v1/receipts/01938a5c-7b1e-7c3a-9d42-5f0c8f1e2a3b")
        body = problem(response, KINDS[kind].status, kind.slug)
        assert body["title"] == kind.title
        assert body["detail"] == kind.default_detail
        assert ("retry-after" in response.headers) == (KINDS[kind].status in (429, 503))
        assert ("www-authenticate" in response.headers) == (kind is Unauthenticated)
        explanation = await client.get(body["type"])
        assert explanation.status_code == 200
        assert f"<h1>{kind.title}</h1>" in explanation.text
    assert KINDS[kind].status != CLIENT_CLOSED or kind.slug == "client-disconnected"


async def test_retry_after_is_in_whole_seconds(rig: Rig) -> None:
    for given, sent in ((None, "5"), (0.2, "1"), (7.2, "8")):

        class Store:
            async def get(self, _id: object, given: float | None = given) -> None:
                raise Overloaded(retry_after=given)

        async with rig.client(rig.app(receipts=Store())) as client:
            response = await client.get("/v1/receipts/01938a5c-7b1e-7c3a-9d42-5f0c8f1e2a3b")
            assert response.headers["retry-after"] == sent


async def test_what_the_framework_answers_is_a_problem_document_too(client: httpx.AsyncClient) -> None:
    problem(await client.get("/nowhere"), 404, "not-found")
    problem(await client.get("/v1/anonymize/"), 404, "not-found")
    problem(await client.get("/problems/no-such"), 404, "not-found")
    refused = await client.get("/v1/anonymize")
    problem(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == "POST"
    problem(await client.delete("/v1/receipts"), 405, "method-not-allowed")


async def test_parameters_that_the_framework_checks_are_pointed_at(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/receipts", params={"limit": "0", "outcome": "fine", "since": "x", "secret": "s3"})
    body = problem(response, 422, InvalidRequest.slug)
    assert {each["pointer"] for each in body["problems"]} == {"/limit", "/outcome", "/since", "/secret"}
    assert "s3" not in response.text


async def test_an_uncaught_exception_is_a_problem_document_and_a_log_entry_without_values(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    from service.observability.logs import configure

    configure("json", "info")

    class Store:
        async def get(self, secret_id: object) -> None:
            secret_local = f"pixels of {secret_id}"
            raise RuntimeError(secret_local)

    async with rig.client(rig.app(receipts=Store())) as client:
        response = await client.get("/v1/receipts/01938a5c-7b1e-7c3a-9d42-5f0c8f1e2a3b")
    body = problem(response, 500, "internal-error")
    assert "pixels" not in response.text
    written = capsys.readouterr().out
    lines = [json.loads(line) for line in written.splitlines()]
    entry = next(line for line in lines if line["event"] == "uncaught")
    assert entry["request_id"] == body["request_id"]
    assert entry["exception"].startswith("builtins.RuntimeError\n")
    assert "in get: raise RuntimeError(secret_local)" in entry["exception"]
    assert "pixels of 0" not in written


async def test_a_lost_store_says_when_to_try_again(rig: Rig) -> None:
    class Store:
        async def get(self, _id: object) -> None:
            raise RecordStoreUnavailable(cause="connection refused by 10.0.0.7")

    async with rig.client(rig.app(receipts=Store())) as client:
        response = await client.get("/v1/receipts/01938a5c-7b1e-7c3a-9d42-5f0c8f1e2a3b")
    problem(response, 503, "record-store-unavailable")
    assert "10.0.0.7" not in response.text
