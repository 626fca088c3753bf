import email
import email.policy
import hashlib
import io
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import Image

from service.api.schemas import ReceiptDocument
from service.errors import DetectorUnavailable, RecordStoreUnavailable
from service.records.receipt import Receipt
from service.records.repository import ReceiptRepository
from tests.unit.api.rig import Rig, problem

Picture = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}


def parts(response: httpx.Response) -> list[tuple[str, bytes]]:
    """Read by the standard library's parser: (media type, bytes)."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + response.content, policy=email.policy.HTTP)
    found = []
    for part in message.iter_parts():  # type: ignore[attr-defined]
        found.append((part.get_content_type(), part.get_payload(decode=True)))
    return found


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF"])
async def test_a_picture_comes_back_in_its_own_format_with_its_receipt(
    rig: Rig, client: httpx.AsyncClient, picture: Picture, kind: str
) -> None:
    media = f"image/{kind.lower()}"
    response = await client.post("/v1/anonymize", content=picture(kind), headers={"content-type": media})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == media
    assert Image.open(io.BytesIO(response.content)).size == (320, 240)
    receipt = await rig.services.receipts.get(UUID(response.headers["veil-receipt"]))
    assert receipt.output.sha256 == hashlib.sha256(response.content).hexdigest()
    assert receipt.outcome == "ok"
    counts = receipt.counts
    assert response.headers["veil-detections"] == f"face={counts['face']}, plate={counts['plate']}"
    assert counts["face"] > 0
    timings = dict(item.split(";dur=") for item in response.headers["server-timing"].split(", "))
    assert {"upload", "queue", "decode", "detect", "encode"} <= set(timings)
    assert all(float(spent) >= 0 for spent in timings.values())
    assert response.headers["cache-control"] == "no-store"
    assert "content-disposition" not in response.headers


async def test_the_content_decides_whatever_the_content_type_says(client: httpx.AsyncClient, picture: Picture) -> None:
    response = await client.post("/v1/anonymize", content=picture("PNG"), headers=JPEG)
    assert response.headers["content-type"] == "image/png"


async def test_a_form_carries_picture_and_options(rig: Rig, client: httpx.AsyncClient, picture: Picture) -> None:
    response = await client.post(
        "/v1/anonymize?effort=fast",
        files={"image": ("a.jpg", picture(), "image/jpeg")},
        data={"classes": "plate", "format": "png", "source_ref": "run-7"},
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    receipt = await rig.services.receipts.get(UUID(response.headers["veil-receipt"]))
    assert receipt.source_ref == "run-7"
    assert receipt.policy is not None
    assert (receipt.policy["effort"], [c["name"] for c in receipt.policy["classes"]]) == ("fast", ["plate"])


async def test_the_receipt_comes_along_in_a_multipart_answer(
    rig: Rig, client: httpx.AsyncClient, picture: Picture
) -> None:
    headers = {**JPEG, "accept": "multipart/mixed"}
    response = await client.post("/v1/anonymize", content=picture(), headers=headers)
    (json_type, receipt), (image_type, image) = parts(response)
    assert (json_type, image_type) == ("application/json", "image/jpeg")
    document = ReceiptDocument.model_validate_json(receipt)
    assert document.output.sha256 == hashlib.sha256(image).hexdigest()
    stored = await client.get(f"/v1/receipts/{response.headers['veil-receipt']}")
    assert stored.json() | {"timings_ms": 0} == document.model_dump(mode="json", by_alias=True) | {"timings_ms": 0}


async def test_boxes_of_the_receipt_may_be_asked_for_as_stored(client: httpx.AsyncClient, picture: Picture) -> None:
    async def box(coordinates: str) -> list[float]:
        response = await client.post(
            f"/v1/anonymize?classes=face&coordinates={coordinates}",
            content=picture("JPEG", 320, 240, 6),
            headers={**JPEG, "accept": "multipart/mixed"},
        )
        document = ReceiptDocument.model_validate_json(parts(response)[0][1])
        assert document.detections is not None
        return list(document.detections[0].box)

    x1, y1, x2, y2 = await box("upright")
    # Orientation 6: shown turned by 90° clockwise, so the upright picture is 240 wide.
    assert await box("stored") == [y1, round(240 - x2, 1), y2, round(240 - x1, 1)]


async def test_what_is_not_accepted_is_refused_before_and_after_the_format_is_known(
    rig: Rig, client: httpx.AsyncClient, picture: Picture
) -> None:
    for accept, query in (("application/json", ""), ("image/jpeg", "?format=png"), ("image/png", "")):
        response = await client.post(f"/v1/anonymize{query}", content=picture(), headers={**JPEG, "accept": accept})
        problem(response, 406, "not-acceptable")
    assert not rig.face.entered.is_set()


@pytest.mark.parametrize(
    ("path", "headers", "status", "slug"),
    [
        ("/v1/anonymize?quality=1", JPEG, 422, "invalid-request"),
        ("/v1/anonymize?exclude=[[0,0,9,9]]", JPEG, 403, "not-permitted"),
        ("/v1/anonymize", {"content-type": "text/plain"}, 415, "unsupported-format"),
        ("/v1/anonymize", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported-format"),
        ("/v1/anonymize", {}, 415, "unsupported-format"),
        ("/v1/anonymize", {**JPEG, "content-encoding": "gzip"}, 415, "unsupported-format"),
        ("/v1/anonymize", {"content-type": "multipart/form-data"}, 400, "malformed-request"),
        ("/v1/anonymize", {"content-type": "multipart/form-data; boundary=x"}, 400, "malformed-request"),
        ("/v1/detect?format=png", JPEG, 422, "invalid-request"),
    ],
)
async def test_a_refused_request_has_a_receipt_and_its_problem_names_it(
    rig: Rig, client: httpx.AsyncClient, picture: Picture, path: str, headers: dict[str, str], status: int, slug: str
) -> None:
    response = await client.post(path, content=picture(), headers=headers)
    body = problem(response, status, slug)
    receipts = await rig.receipts()
    assert [(each["id"], each["outcome"], each["problem"]) for each in receipts] == [
        (body["receipt"], "rejected", slug)
    ]
    assert response.headers["veil-receipt"] == body["receipt"]


async def test_a_missing_picture_and_wrong_options_are_reported_together(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/anonymize", files={"x": (None, "1")}, data={"quality": "1"})
    body = problem(response, 422, "invalid-request")
    assert {each["pointer"] for each in body["problems"]} == {"/image", "/quality", "/x"}
    response = await client.post("/v1/anonymize", content=b"", headers=JPEG)
    assert problem(response, 422, "invalid-request")["problems"][0]["pointer"] == "/image"


async def test_what_is_no_picture_is_refused_by_its_content(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/anonymize", content=b"GIF89a" + b"x" * 99, headers=JPEG)
    assert "GIF" in problem(response, 415, "unsupported-format")["detail"]


async def test_a_failed_detector_is_one_failed_receipt_and_no_picture(
    rig: Rig, client: httpx.AsyncClient, picture: Picture
) -> None:
    rig.plate.failure = DetectorUnavailable(cause="connection refused")
    response = await client.post("/v1/anonymize", content=picture(), headers=JPEG)
    body = problem(response, 503, "detector-unavailable")
    receipts = await rig.receipts()
    assert [(r["id"], r["outcome"], r["problem"]) for r in receipts] == [
        (body["receipt"], "failed", "detector-unavailable")
    ]


async def test_no_receipt_no_picture(rig: Rig, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(_self: object, _receipt: Receipt) -> None:
        raise RecordStoreUnavailable(cause="disk full")

    monkeypatch.setattr(ReceiptRepository, "add", lost)
    async with rig.client() as client:
        response = await client.post("/v1/anonymize", content=picture(), headers=JPEG)
        assert "receipt" not in problem(response, 503, "record-store-unavailable")
        response = await client.post("/v1/anonymize?quality=1", content=picture(), headers=JPEG)
        assert "receipt" not in problem(response, 422, "invalid-request")


async def test_a_full_queue_is_refused_with_a_receipt(rig: Rig, picture: Picture) -> None:
    from service.admission import Admission

    admission = Admission(workers=1, queue=0, wait_seconds=1)
    async with rig.client(rig.app(admission=admission)) as client, admission.place():
        response = await client.post("/v1/anonymize", content=picture(), headers=JPEG)
    body = problem(response, 429, "overloaded")
    assert int(response.headers["retry-after"]) >= 1
    assert [r["id"] for r in await rig.receipts()] == [body["receipt"]]
    assert admission.places == 0


async def test_who_waits_too_long_is_refused_with_one_receipt(rig: Rig, picture: Picture) -> None:
    from service.admission import Admission

    admission = Admission(workers=1, queue=4, wait_seconds=0.05)
    async with rig.client(rig.app(admission=admission)) as client, admission.worker():
        response = await client.post("/v1/anonymize", content=picture(), headers=JPEG)
    body = problem(response, 429, "overloaded")
    assert [(r["id"], r["problem"]) for r in await rig.receipts()] == [(body["receipt"], "overloaded")]
    assert admission.places == 0


async def test_detection_has_the_agreed_shape(rig: Rig, client: httpx.AsyncClient, picture: Picture) -> None:
    response = await client.post("/v1/detect?classes=face", content=picture("JPEG", 320, 240, 6), headers=JPEG)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert list(body) == ["image", "detections", "counts", "receipt", "timings_ms"]
    assert body["image"] == {
        "width": 240,
        "height": 320,
        "format": "jpeg",
        "orientation": 6,
        "projection": "planar",
    }
    first = body["detections"][0]
    assert set(first) == {"class", "score", "box", "model", "polygon"}
    assert (first["class"], first["score"], first["model"]) == ("face", 0.9, "face/1")
    assert len(first["box"]) == 4
    assert body["counts"] == {"face": len(body["detections"])}
    assert body["receipt"] == response.headers["veil-receipt"]
    receipt = await rig.services.receipts.get(UUID(body["receipt"]))
    assert receipt.output.bytes is None

    stored = await client.post(
        "/v1/detect?classes=face&coordinates=stored", content=picture("JPEG", 320, 240, 6), headers=JPEG
    )
    assert (stored.json()["image"]["width"], stored.json()["image"]["height"]) == (320, 240)
    x1, y1, x2, y2 = first["box"]
    assert stored.json()["detections"][0]["box"] == [y1, round(240 - x2, 1), y2, round(240 - x1, 1)]


async def test_detection_is_answered_as_json_or_not_at_all(client: httpx.AsyncClient, picture: Picture) -> None:
    response = await client.post("/v1/detect", content=picture(), headers={**JPEG, "accept": "image/*"})
    problem(response, 406, "not-acceptable")


async def test_models_are_listed_with_what_they_run_on(client: httpx.AsyncClient) -> None:
    models = (await client.get("/v1/models")).json()["models"]
    assert [(m["name"], m["version"], m["engine"]) for m in models] == [
        ("face", "1", "onnxruntime"),
        ("plate", "1", "onnxruntime"),
    ]
    assert models[0]["sha256"] == "ab" * 32
    assert models[0]["input"] == {"width": 640, "height": 640}
    assert models[0]["thresholds"] == {"face": 0.5}


async def test_a_second_search_is_told_in_header_receipt_and_problem(
    client: httpx.AsyncClient, picture: Picture
) -> None:
    """The known detector finds something in each tile of each level, so a finer search always finds something more."""
    path, large = "/v1/anonymize?classes=face&effort=fast&verify=redetect", picture("JPEG", 1400, 1000)
    hidden = await client.post(path, content=large, headers=JPEG)
    count, outcome = hidden.headers["veil-residual"].split(", ")
    assert (count != "count=0", outcome) == (True, "outcome=hidden")
    stored = (await client.get(f"/v1/receipts/{hidden.headers['veil-receipt']}")).json()
    assert stored["residual"] == {"count": int(count.removeprefix("count=")), "outcome": "hidden"}
    refused = await client.post(f"{path}&residual=refuse", content=large, headers=JPEG)
    body = problem(refused, 422, "residual-found")
    stored = (await client.get(f"/v1/receipts/{body['receipt']}")).json()
    assert (stored["outcome"], stored["residual"]["outcome"]) == ("rejected", "refused")
    plain = await client.post("/v1/anonymize", content=picture(), headers=JPEG)
    assert "veil-residual" not in plain.headers
