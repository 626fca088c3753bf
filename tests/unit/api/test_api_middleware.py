import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest

from service.errors import DetectorTimeout, RecordStoreUnavailable
from service.observability.logs import configure
from service.records.keys import Role
from service.records.repository import ReceiptRepository
from tests.unit.api.rig import Rig

Picture = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The log lines so far."""
    stream = io.StringIO()
    configure("json", "debug", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    configure("json", "info")


def value(rig: Rig, sample: str, **labels: str) -> float:
    return rig.services.metrics.registry.get_sample_value(sample, labels) or 0.0


async def test_a_request_keeps_its_callers_id_if_that_is_harmless(rig: Rig) -> None:
    async with rig.client() as client:
        for given in ("abc-123", "5f1c0f7c.0b1f_4"):
            assert (await client.get("/livez", headers={"x-request-id": given})).headers["x-request-id"] == given
        made = set()
        for given in ("", "a b", "x" * 65, "<script>", "-x", "é"):
            response = await client.get("/livez", headers={"x-request-id": given.encode()})
            made.add(response.headers["x-request-id"])
        assert len(made) == 6
        assert all(len(each) == 32 for each in made)


async def test_answers_carry_security_headers(rig: Rig) -> None:
    async with rig.client() as client:
        for path in ("/livez", "/nowhere"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["referrer-policy"] == "no-referrer"


async def test_the_log_says_what_happened_and_nothing_of_who_or_what(
    rig: Rig, picture: Picture, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    key, token = await rig.token(Role.ADMIN)
    async with rig.client() as client:
        response = await client.post(
            "/v1/anonymize?source_ref=secretref&regions=[[111,222,333,444]]",
            files={"image": ("secretname.jpg", picture(), "image/jpeg")},
            headers={"api-key": token, "user-agent": "secretagent", "x-forwarded-for": "203.0.113.9"},
        )
        assert response.status_code == 200
        await client.post("/v1/anonymize?secretoption=1", content=picture(), headers=JPEG)
        await client.get("/secretpath/secretsegment?x=secretquery")
        await client.request("SECRETMETHOD", "/livez")
    requests = [line for line in lines() if line["event"] == "request"]
    first, second, third, fourth = requests
    assert first | {"duration_ms": 0, "timestamp": 0, "bytes": 0} == {
        "event": "request",
        "level": "info",
        "logger": "service.api.middleware",
        "timestamp": 0,
        "request_id": response.headers["x-request-id"],
        "method": "POST",
        "route": "/v1/anonymize",
        "status": 200,
        "problem": None,
        "duration_ms": 0,
        "bytes": 0,
        "receipt": response.headers["veil-receipt"],
        "caller": key,
    }
    assert first["bytes"] == len(response.content)
    assert (second["status"], second["problem"], second["caller"]) == (422, "invalid-request", None)
    assert (third["route"], third["status"]) == ("unmatched", 404)
    assert (fourth["method"], fourth["status"]) == ("OTHER", 405)
    text = json.dumps(lines())
    for secret in ("secret", "111", "203.0.113.9", token, "SECRETMETHOD"):
        assert secret not in text.replace(response.headers["veil-receipt"], "").replace(key, "") or secret == "111"


async def test_probes_are_logged_only_where_they_fail(rig: Rig, lines: Callable[[], list[dict[str, Any]]]) -> None:
    configure("json", "info", stream := io.StringIO())
    async with rig.client() as client:
        await client.get("/readyz")
        rig.services.draining.set()
        await client.get("/readyz")
    requests = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["status"] for line in requests if line["event"] == "request"] == [503]


async def test_requests_and_pictures_are_counted(rig: Rig, picture: Picture) -> None:
    app = rig.app()
    async with rig.client(app) as client:
        ok = await client.post("/v1/detect", content=picture(), headers=JPEG)
        await client.post("/v1/detect?x=1", content=picture(), headers=JPEG)
        rig.face.failure = DetectorTimeout()
        await client.post("/v1/detect", content=picture(), headers=JPEG)
        await client.get("/nowhere")

    route = "/v1/detect"
    assert value(rig, "veil_requests_total", route=route, outcome="ok", status="200") == 1
    assert value(rig, "veil_requests_total", route=route, outcome="rejected", status="422") == 1
    assert value(rig, "veil_requests_total", route=route, outcome="failed", status="504") == 1
    assert value(rig, "veil_requests_total", route="unmatched", outcome="rejected", status="404") == 1
    assert value(rig, "veil_request_duration_seconds_count", route=route) == 3
    assert value(rig, "veil_stage_duration_seconds_count", stage="decode") == 2
    assert value(rig, "veil_stage_duration_seconds_count", stage="upload") == 2
    assert value(rig, "veil_image_megapixels_count") == 1
    assert value(rig, "veil_image_megapixels_sum") == pytest.approx(320 * 240 / 1e6)
    assert value(rig, "veil_detections_total", **{"class": "face"}) == ok.json()["counts"]["face"] > 0
    assert value(rig, "veil_detector_errors_total", kind="detector-timeout") == 1
    assert value(rig, "veil_receipts_lost_total") == 0


async def test_a_lost_receipt_is_counted(rig: Rig, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(_self: object, _receipt: object) -> None:
        raise RecordStoreUnavailable

    monkeypatch.setattr(ReceiptRepository, "add", lost)
    async with rig.client() as client:
        await client.post("/v1/detect", content=picture(), headers=JPEG)
        await client.post("/v1/detect?x=1", content=picture(), headers=JPEG)
    assert value(rig, "veil_receipts_lost_total") == 2


async def test_the_queue_can_be_watched(rig: Rig) -> None:
    rig.app()
    admission = rig.services.admission
    async with admission.place(), admission.place(), admission.worker():
        assert value(rig, "veil_admission_places") == 2
        assert value(rig, "veil_admission_waiting") == 1
    assert value(rig, "veil_admission_places") == 0
    assert b"veil_build_info" in generate_latest(rig.services.metrics.registry)
