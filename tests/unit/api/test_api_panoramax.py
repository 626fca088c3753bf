"""The blur API of Panoramax: its wire, who may use it, and how it holds what others would be refused."""

import asyncio
import email
import email.policy
import io
import json
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps

from service.admission import Admission
from service.api.services import PanoramaxRules
from service.api.sgblur import HEADER_BYTES, header, pixels
from service.errors import DetectorContractBroken, DetectorUnavailable, RecordStoreUnavailable
from service.records.keys import Role
from service.records.receipt import DetectionFacts, Receipt, Rewrite
from service.records.repository import ReceiptRepository
from tests.unit.api.rig import Rig, problem

Picture = Callable[..., bytes]
FORM = {"accept": "multipart/form-data"}
LOCAL = (ip_network("127.0.0.0/8"),)


async def blur(client: httpx.AsyncClient, data: bytes, path: str = "/blur/", **more: Any) -> httpx.Response:
    """What Panoramax sends."""
    files = {"picture": ("picture.jpg", data, "image/jpeg")}
    return await client.post(path, files=files, **{"headers": FORM, "timeout": 60, **more})


def parts(response: httpx.Response) -> dict[str, bytes]:
    """The parts of a form by name, read by the standard library's parser."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + response.content, policy=email.policy.HTTP)
    found = {}
    for part in message.iter_parts():  # type: ignore[attr-defined]
        found[part.get_param("name", header="content-disposition")] = part.get_payload(decode=True)
    return found


def metadata(response: httpx.Response) -> dict[str, Any]:
    found = json.loads(parts(response)["metadata"])
    assert isinstance(found, dict)
    return found


async def outcomes(rig: Rig) -> list[tuple[object, object]]:
    return [(each["outcome"], each["problem"]) for each in await rig.receipts()]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("path", ["/blur/", "/blur"])
async def test_the_form_has_the_picture_and_a_json_object(
    rig: Rig, client: httpx.AsyncClient, picture: Picture, path: str
) -> None:
    response = await blur(client, picture(), path)
    assert response.status_code == 200, response.text
    assert response.history == []
    assert response.headers["content-type"].startswith("multipart/form-data; boundary=")
    found = parts(response)
    assert set(found) == {"metadata", "image"}
    assert Image.open(io.BytesIO(found["image"])).format == "JPEG"
    assert metadata(response)["annotations"] == []
    assert metadata(response)["service_name"]
    receipt = await rig.services.receipts.get(UUID(response.headers["veil-receipt"]))
    assert receipt.output.bytes == len(found["image"])
    assert receipt.policy is not None
    assert (receipt.policy["upright"], receipt.policy["format"]) == (True, "jpeg")


@pytest.mark.parametrize("accept", [None, "*/*", "image/jpeg", "image/*;q=0.8"])
async def test_who_asks_for_no_form_gets_the_picture_and_the_header(
    client: httpx.AsyncClient, picture: Picture, accept: str | None
) -> None:
    response = await blur(client, picture(), headers={} if accept is None else {"accept": accept})
    assert response.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).size == (320, 240)
    said = json.loads(response.headers["x-sgblur"])
    assert set(said) == {"info", "model", "salt"}
    assert {each["class"] for each in said["info"]} == {"face", "plate"}
    for each in said["info"]:
        x1, y1, x2, y2 = each["bbox"]
        assert each["xywh"] == [x1, y1, x2 - x1, y2 - y1]
    assert response.headers["vary"] == "Accept"


async def test_who_takes_neither_is_refused_before_the_upload(client: httpx.AsyncClient, picture: Picture) -> None:
    problem(await blur(client, picture(), headers={"accept": "text/html"}), 406, "not-acceptable")


async def test_keep_is_taken_and_every_id_is_new(client: httpx.AsyncClient, picture: Picture) -> None:
    ids = {metadata(await blur(client, picture(), params={"keep": "1"}))["blurring_id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(each) >= 32 for each in ids)


async def test_annotations_come_when_asked_for_in_whole_pixels_of_the_picture(
    rig: Rig, client: httpx.AsyncClient, picture: Picture
) -> None:
    response = await blur(client, picture(orientation=6), params={"annotations": "1"})
    width, height = Image.open(io.BytesIO(parts(response)["image"])).size
    found = metadata(response)["annotations"]
    assert len(found) == sum((await rig.receipts())[0]["r"].counts.values())  # type: ignore[attr-defined]
    for each in found:
        x1, y1, x2, y2 = each["shape"]
        assert all(isinstance(value, int) for value in each["shape"])
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        models = [tag["value"] for tag in each["semantics"] if tag["key"].startswith("detection_model[")]
        assert len(models) == 1
        assert models[0].startswith("SGBlur-")


async def test_a_deployment_may_always_want_annotations(rig: Rig, picture: Picture) -> None:
    async with rig.client(rig.app(panoramax=PanoramaxRules(LOCAL, annotations=True))) as client:
        assert metadata(await blur(client, picture()))["annotations"]
        assert metadata(await blur(client, picture(), params={"annotations": "0"}))["annotations"] == []


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_pixels_are_upright_and_the_orientation_is_1(
    rig: Rig, client: httpx.AsyncClient, picture: Picture, orientation: int
) -> None:
    data = picture(width=336, height=240, orientation=orientation)
    response = await blur(client, data)
    receipt = await rig.services.receipts.get(UUID(response.headers["veil-receipt"]))
    assert receipt.output.rewrite is Rewrite.PATCH
    answered = Image.open(io.BytesIO(parts(response)["image"]))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert answered.size == upright.size
    assert answered.getexif().get(0x0112, 1) == 1
    difference = np.abs(np.asarray(answered, np.int16) - np.asarray(upright, np.int16))
    # The rig's detectors hide a corner of each tile; everything else is as it was.
    assert np.median(difference) <= 1
    assert (difference.max(axis=2) > 8).mean() < 0.25


@pytest.mark.parametrize("params", [{"keep": "2"}, {"quality": "80"}, [("keep", "1"), ("keep", "1")]])
async def test_wrong_options_are_refused(client: httpx.AsyncClient, picture: Picture, params: Any) -> None:
    problem(await blur(client, picture(), params=params), 422, "invalid-request")


async def test_the_picture_must_be_the_part_picture(client: httpx.AsyncClient, picture: Picture) -> None:
    other = await client.post("/blur/", files={"image": ("a.jpg", picture(), "image/jpeg")}, headers=FORM)
    assert problem(other, 422, "invalid-request")["problems"][0]["pointer"] == "/image"
    raw = await client.post("/blur/", content=picture(), headers={"content-type": "image/jpeg"})
    problem(raw, 415, "unsupported-format")
    problem(await blur(client, b""), 422, "invalid-request")
    problem(await blur(client, b"\xff\xd8\xff"), 422, "corrupt-image")
    problem(await blur(client, b"no picture"), 415, "unsupported-format")


@pytest.mark.parametrize(
    ("address", "networks", "status"),
    [
        ("127.0.0.1", LOCAL, 200),
        ("::ffff:127.0.0.1", LOCAL, 200),
        ("10.1.2.3", (ip_network("10.1.0.0/16"), ip_network("fd00::/8")), 200),
        ("fd00::7", (ip_network("10.1.0.0/16"), ip_network("fd00::/8")), 200),
        ("10.2.2.3", (ip_network("10.1.0.0/16"), ip_network("fd00::/8")), 403),
        ("2001:db8::1", (ip_network("10.1.0.0/16"), ip_network("fd00::/8")), 403),
        ("127.0.0.1", (ip_network("10.1.0.0/16"),), 403),
        ("not-an-address", (ip_network("0.0.0.0/0"), ip_network("::/0")), 403),
    ],
)
async def test_the_network_decides_and_no_key(
    rig: Rig, picture: Picture, address: str, networks: Any, status: int
) -> None:
    app = rig.app(panoramax=PanoramaxRules(networks), keys_needed=True)
    async with rig.client(app, address) as client:
        for path in ("/blur/", "/blur"):
            response = await blur(client, picture(), path)
            assert response.status_code == status
            assert (await client.get(path)).status_code == status
        if status == 403:
            problem(response, 403, "not-permitted")
        problem(await client.get("/v1/receipts"), 401, "unauthenticated")


async def test_a_key_does_not_open_it(rig: Rig, picture: Picture) -> None:
    _, token = await rig.token(Role.ADMIN)
    async with rig.client(rig.app(keys_needed=True), "10.0.0.1") as client:
        problem(await blur(client, picture(), headers=FORM | {"api-key": token}), 403, "not-permitted")


async def test_where_it_is_switched_off_there_is_nothing(rig: Rig, picture: Picture) -> None:
    async with rig.client(rig.app(panoramax=None)) as client:
        problem(await blur(client, picture()), 404, "not-found")
        problem(await client.get("/blur/"), 404, "not-found")


async def test_health_says_what_is_not_ready(rig: Rig, client: httpx.AsyncClient) -> None:
    assert (await client.get("/blur/")).json()["status"] == "ready"
    rig.face.failure = DetectorUnavailable("The face detector is not available.")
    async with rig.client(rig.app()) as other:
        response = await other.get("/blur/")
        assert response.status_code == 503
        assert response.json()["components"]["face"]["status"] == "not ready"


async def test_a_full_house_holds_panoramax_and_refuses_others(rig: Rig, picture: Picture) -> None:
    app = rig.app(admission=Admission(workers=1, queue=0, wait_seconds=0.05))
    admission = app.state.services.admission
    rig.face.gate.clear()
    async with rig.client(app) as client:
        requests = [asyncio.create_task(blur(client, picture(width=320 + i))) for i in range(3)]
        await rig.face.entered.wait()
        await until(lambda: admission.held == 2)
        native = await client.post("/v1/anonymize", content=picture(), headers={"content-type": "image/jpeg"})
        problem(native, 429, "overloaded")
        rig.face.gate.set()
        answers = await asyncio.gather(*requests)
    assert [each.status_code for each in answers] == [200, 200, 200]
    assert (admission.places, admission.held) == (0, 0)
    assert sorted(await outcomes(rig)) == [("ok", None)] * 3 + [("rejected", "overloaded")]


async def test_the_hold_ends(rig: Rig, picture: Picture) -> None:
    app = rig.app(
        admission=Admission(workers=1, queue=0, wait_seconds=0.05),
        panoramax=PanoramaxRules(LOCAL, hold_seconds=0.1),
    )
    rig.face.gate.clear()
    async with rig.client(app) as client:
        first = asyncio.create_task(blur(client, picture()))
        await rig.face.entered.wait()
        problem(await blur(client, picture()), 429, "overloaded")
        rig.face.gate.set()
        assert (await first).status_code == 200
        rig.face.failure = DetectorUnavailable()
        problem(await blur(client, picture(width=400)), 503, "detector-unavailable")
    assert sorted(await outcomes(rig)) == [
        ("failed", "detector-unavailable"),
        ("ok", None),
        ("rejected", "overloaded"),
    ]


async def test_a_detector_that_comes_back_is_waited_for_and_there_is_one_receipt(
    rig: Rig, client: httpx.AsyncClient, picture: Picture
) -> None:
    rig.face.failure = DetectorUnavailable()
    request = asyncio.create_task(blur(client, picture()))
    await until(lambda: rig.face.entered.is_set() and rig.services.admission.working == 0)
    assert rig.services.admission.places == 1
    rig.face.failure = None
    assert (await request).status_code == 200
    assert await outcomes(rig) == [("ok", None)]


async def test_a_broken_contract_is_not_waited_for(rig: Rig, client: httpx.AsyncClient, picture: Picture) -> None:
    rig.face.failure = DetectorContractBroken()
    problem(await blur(client, picture()), 502, "detector-contract-broken")
    assert await outcomes(rig) == [("failed", "detector-contract-broken")]


class ReturningStore(ReceiptRepository):
    """Stores nothing for the first `failures` times."""

    failures = 2

    async def add(self, receipt: Receipt) -> None:
        if self.failures:
            self.failures -= 1
            raise RecordStoreUnavailable
        await super().add(receipt)


async def test_a_record_store_that_comes_back_is_waited_for_and_nothing_is_searched_twice(
    rig: Rig, client: httpx.AsyncClient, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ReturningStore(rig.database)
    monkeypatch.setattr(rig.services.anonymizer, "_receipts", store)
    searched = count_searches(rig, monkeypatch)
    assert (await blur(client, picture())).status_code == 200
    assert store.failures == 0
    assert searched == [1]
    assert await outcomes(rig) == [("ok", None)]


def count_searches(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each picture that the detectors look at."""
    searched: list[int] = []
    detection = rig.services.anonymizer._detection
    run = detection.run

    async def counted(*arguments: Any) -> Any:
        searched.append(1)
        return await run(*arguments)

    monkeypatch.setattr(detection, "run", counted)
    return searched


async def test_repeats_are_searched_once_and_answered_alike(
    rig: Rig, client: httpx.AsyncClient, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = count_searches(rig, monkeypatch)
    rig.face.gate.clear()
    requests = [asyncio.create_task(blur(client, picture())) for _ in range(2)]
    await rig.face.entered.wait()
    await until(lambda: rig.services.admission.working == 2)
    rig.face.gate.set()
    answers = [*await asyncio.gather(*requests), await blur(client, picture())]
    assert len({parts(each)["image"] for each in answers}) == 1
    assert searched == [1]
    kept = [each["r"] for each in await rig.receipts()]
    assert len({each.id for each in kept}) == 3  # type: ignore[attr-defined]
    assert len({str(each.counts) for each in kept}) == 1  # type: ignore[attr-defined]
    await blur(client, picture(width=328))
    assert searched == [1, 1]


async def test_draining_ends_the_hold(rig: Rig, client: httpx.AsyncClient, picture: Picture) -> None:
    rig.face.failure = DetectorUnavailable()
    request = asyncio.create_task(blur(client, picture()))
    await until(lambda: rig.face.entered.is_set() and rig.services.admission.working == 0)
    rig.services.draining.set()
    async with asyncio.timeout(5):  # the hold would last 20 seconds
        problem(await request, 503, "detector-unavailable")


def test_boxes_become_whole_pixels_inside_the_picture() -> None:
    assert pixels((-3.2, 10.1, 20.9, 500.0), (320, 240)) == (0, 10, 21, 240)
    assert pixels((319.9, 239.9, 330.0, 250.0), (320, 240)) == (319, 239, 320, 240)


def test_the_header_fits_a_header_line_and_keeps_the_surest() -> None:
    found = [DetectionFacts("face", i / 5000, (1.0, 2.0, 30.0, 40.0), "face/1") for i in range(5000)]
    text = header(found, (320, 240), "0" * 32)
    assert len(text) < HEADER_BYTES + 1024 < 64 * 1024
    kept = [each["confidence"] for each in json.loads(text)["info"]]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] == 1.0
    assert len(kept) > 100
