from collections.abc import Callable
from typing import Any

import httpx

from tests.unit.api.rig import problem

Picture = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}


async def send(client: httpx.AsyncClient, picture: bytes, query: str = "") -> str:
    response = await client.post(f"/v1/detect{query}", content=picture, headers=JPEG)
    receipt: str = response.headers["veil-receipt"]
    return receipt


async def test_a_receipt_has_the_agreed_shape(client: httpx.AsyncClient, picture: Picture) -> None:
    response = await client.post("/v1/anonymize?source_ref=run-7", content=picture(), headers=JPEG)
    body: dict[str, Any] = (await client.get(f"/v1/receipts/{response.headers['veil-receipt']}")).json()
    assert list(body) == [
        "id",
        "received_at",
        "finished_at",
        "caller",
        "source_ref",
        "outcome",
        "problem",
        "input",
        "output",
        "policy",
        "policy_digest",
        "models",
        "engine",
        "tiles",
        "counts",
        "detections",
        "residual",
        "timings_ms",
        "service_version",
        "detections_digest",
        "signature",
    ]
    assert body["received_at"].endswith("Z")
    assert set(body["input"]) == {"format", "width", "height", "bytes"}
    assert set(body["output"]) == {"format", "bytes", "sha256", "rewrite"}
    assert body["output"]["bytes"] == len(response.content)
    assert set(body["models"][0]) == {"name", "version", "sha256"}
    assert set(body["detections"][0]) == {"class", "score", "box", "model", "polygon"}
    assert (body["engine"], body["source_ref"], body["outcome"], body["problem"]) == (
        "onnxruntime",
        "run-7",
        "ok",
        None,
    )
    assert body["policy"]["effort"] == "balanced"


async def test_an_unknown_receipt_is_not_found(client: httpx.AsyncClient) -> None:
    for id in ("01938a5c-7b1e-7c3a-9d42-5f0c8f1e2a3b", "nonsense", "%00"):
        problem(await client.get(f"/v1/receipts/{id}"), 404, "receipt-not-found")


async def test_pages_lead_through_all_receipts(client: httpx.AsyncClient, picture: Picture) -> None:
    sent = [await send(client, picture()) for _ in range(5)]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = (await client.get("/v1/receipts", params=query)).json()
        seen += [each["id"] for each in page["receipts"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == sent[::-1]
    problem(await client.get("/v1/receipts", params={"cursor": "nonsense"}), 422, "invalid-request")


async def test_filters_narrow_the_list(client: httpx.AsyncClient, picture: Picture) -> None:
    good = await send(client, picture(), "?source_ref=a")
    bad = await send(client, picture(), "?nonsense=1")

    async def listed(**query: str) -> list[str]:
        response = await client.get("/v1/receipts", params=query)
        assert response.status_code == 200, response.text
        return [each["id"] for each in response.json()["receipts"]]

    assert await listed(outcome="ok") == [good]
    assert await listed(outcome="rejected") == [bad]
    assert await listed(source_ref="a") == [good]
    received = (await client.get(f"/v1/receipts/{bad}")).json()["received_at"]
    assert await listed(since=received) == [bad]
    assert await listed(until=received) == [good]
    assert await listed(caller="0123456789abcdef") == []


async def test_a_time_without_an_offset_is_refused(client: httpx.AsyncClient) -> None:
    for wrong in ("2026-05-04T08:00:00", "2026-05-04", "1777881600", "30.0"):
        response = await client.get("/v1/receipts", params={"since": wrong})
        assert problem(response, 422, "invalid-request")["problems"][0]["pointer"] == "/since"
