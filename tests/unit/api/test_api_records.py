"""What the API says of records: proofs, exports, the audit, samples and verdicts, and who may see them."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.anonymizer import Anonymizer
from service.api import exports
from service.records.audit import Action, ActorKind
from service.records.key import Role
from service.records.proof import verify_proof
from service.records.signing import Signer, new_private_key, read_public_keys
from service.records.statement import detections_digest
from tests.unit.api.rig import Rig, problem
from tests.unit.records.stores import full, minimal

Picture = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
async def signer(rig: Rig) -> Signer:
    """From now on, receipts are signed."""
    made = Signer.read(new_private_key())
    anonymizer: Anonymizer = rig.services.anonymizer
    anonymizer._sign = made.sign
    await rig.services.signing_keys.register(made.public)
    return made


async def send(client: httpx.AsyncClient, picture: bytes, **query: str) -> httpx.Response:
    response = await client.post("/v1/anonymize", params=query, content=picture, headers=JPEG)
    assert response.status_code == 200
    return response


async def test_a_picture_its_proof_and_the_published_keys(
    client: httpx.AsyncClient, picture: Picture, signer: Signer
) -> None:
    """All that somebody outside needs comes over HTTP, and every part of it counts."""
    response = await send(client, picture(), source_ref="Jane Doe")
    id = response.headers["veil-receipt"]
    proof = await client.get(f"/v1/receipts/{id}/proof")
    assert proof.headers["content-disposition"] == f'attachment; filename="{id}.receipt.json"'
    published = await client.get("/.well-known/veil-keys.json")
    assert published.headers["content-type"] == "application/json"
    keys = read_public_keys(published.text)
    proven = verify_proof(response.content, proof.content, keys)
    assert proven.key.kid == signer.public.kid
    assert proven.statement["id"] == id
    document = proof.json()
    assert document["signature"] == response.headers["veil-signature"]
    for hidden in ("Jane", '"box": [', "timings"):
        assert hidden not in proof.text
    receipt = (await client.get(f"/v1/receipts/{id}")).json()
    assert receipt["signature"] == document["signature"]
    assert receipt["detections_digest"] == document["receipt"]["detections_digest"]


async def test_rejected_requests_have_signed_receipts_too(client: httpx.AsyncClient, rig: Rig, signer: Signer) -> None:
    await client.post("/v1/anonymize?nonsense=1", content=b"x", headers=JPEG)
    [found] = await rig.receipts()
    receipt: Any = found["r"]
    assert receipt.outcome == "rejected"
    assert receipt.signature == signer.sign(receipt).signature


async def test_without_a_key_nothing_is_signed(client: httpx.AsyncClient, picture: Picture) -> None:
    response = await send(client, picture())
    id = response.headers["veil-receipt"]
    assert "veil-signature" not in response.headers
    assert (await client.get(f"/v1/receipts/{id}")).json()["signature"] is None
    problem(await client.get(f"/v1/receipts/{id}/proof"), 404, "receipt-not-signed")
    problem(await client.get(f"/v1/receipts/{UUID(int=0)}/proof"), 404, "receipt-not-found")
    assert (await client.get("/.well-known/veil-keys.json")).json() == {"keys": []}


async def test_an_export_has_every_receipt_once(
    rig: Rig, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 3)
    made = [minimal(received_at=datetime.now(UTC) - timedelta(hours=i), tiles=i) for i in range(10)]
    for receipt in made:
        await rig.services.receipts.add(receipt)
    response = await client.get("/v1/receipts/export")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("}\n")
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [line["id"] for line in lines] == [str(receipt.id) for receipt in made]
    assert lines[0] == (await client.get(f"/v1/receipts/{made[0].id}")).json()
    since = made[4].received_at.isoformat()
    some = await client.get("/v1/receipts/export", params={"format": "csv", "since": since})
    assert some.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(some.text)))
    assert [row["tiles"] for row in rows] == ["0", "1", "2", "3", "4"]
    empty = await client.get("/v1/receipts/export", params={"format": "csv", "caller": "nobody"})
    assert len(empty.text.splitlines()) == 1
    assert (await client.get("/v1/receipts/export", params={"caller": "nobody"})).text == ""
    problem(await client.get("/v1/receipts/export", params={"format": "xlsx"}), 422, "invalid-request")
    problem(await client.get("/v1/receipts/export", params={"limit": "5"}), 422, "invalid-request")


async def test_a_table_carries_everything_and_no_formula(rig: Rig, client: httpx.AsyncClient) -> None:
    evil = full().__class__(**{name: getattr(full(), name) for name in full().__slots__} | {"source_ref": '=1+"x"\n'})
    await rig.services.receipts.add(evil)
    [row] = csv.DictReader(io.StringIO((await client.get("/v1/receipts/export?format=csv")).text))
    assert row["source_ref"] == '\'=1+"x"\n'
    assert (row["id"], row["models"], row["output_sha256"]) == (str(evil.id), "face/1 plate/12", "ab" * 32)
    assert json.loads(row["counts"]) == {"face": 3, "plate": 0}
    assert None not in row


async def test_who_exports_is_audited_before_and_after(rig: Rig, picture: Picture) -> None:
    id, token = await rig.token(Role.READ)
    async with rig.client(rig.app(keys_needed=True)) as client:
        await client.get("/v1/receipts/export?source_ref=Jane", headers={"api-key": token})
    after, before = (await rig.services.audit.page(key=id)).entries
    assert (before.action, before.facts) == (Action.RECEIPTS_EXPORT_BEGUN, {"format": "ndjson", "source_ref": True})
    assert (after.action, after.facts) == (Action.RECEIPTS_EXPORTED, {"receipts": 0, "complete": True})
    assert before.actor.kind is ActorKind.KEY


async def test_an_export_that_breaks_off_is_audited_as_such(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PAGE", 1)
    for _ in range(3):
        await rig.services.receipts.add(minimal())
    services, to = rig.services, exports.ExportFormat.NDJSON
    from service.records.audit import COMMAND_LINE

    pieces = exports.audited(services.receipts, services.audit, COMMAND_LINE, to, {}, {})
    await anext(pieces)
    await anext(pieces)
    await pieces.aclose()
    newest = (await services.audit.page(action=Action.RECEIPTS_EXPORTED)).entries[0]
    assert newest.facts == {"receipts": 2, "complete": False}


async def test_a_key_that_may_only_anonymize_exports_its_own(rig: Rig, picture: Picture) -> None:
    mine, my_token = await rig.token(Role.ANONYMIZE)
    other, other_token = await rig.token(Role.ANONYMIZE)
    async with rig.client(rig.app(keys_needed=True)) as client:
        for token in (my_token, other_token):
            await client.post("/v1/detect", content=picture(), headers={**JPEG, "api-key": token})
        exported = await client.get("/v1/receipts/export", headers={"api-key": my_token})
        assert [json.loads(line)["caller"] for line in exported.text.splitlines()] == [mine]
        refused = await client.get("/v1/receipts/export", params={"caller": other}, headers={"api-key": my_token})
        problem(refused, 403, "not-permitted")


async def test_the_audit_says_who_did_what(rig: Rig, picture: Picture) -> None:
    sender, sender_token = await rig.token(Role.ANONYMIZE)
    reader, reader_token = await rig.token(Role.READ)
    admin, admin_token = await rig.token(Role.ADMIN)
    async with rig.client(rig.app(keys_needed=True)) as client:
        sent = await client.post(
            "/v1/anonymize?source_ref=Jane", content=picture(), headers={**JPEG, "api-key": sender_token}
        )
        receipt = sent.headers["veil-receipt"]
        await client.post("/v1/detect", content=picture(), headers={**JPEG, "api-key": sender_token})
        await client.post("/v1/detect", content=b"x", headers={**JPEG, "api-key": sender_token})
        await client.get(f"/v1/receipts/{receipt}", headers={"api-key": reader_token})
        await client.get("/v1/receipts?source_ref=Jane", headers={"api-key": reader_token})

        async def audit(**query: str) -> list[dict[str, Any]]:
            response = await client.get("/v1/audit", params=query, headers={"api-key": admin_token})
            assert response.status_code == 200, response.text
            assert "Jane" not in response.text
            entries: list[dict[str, Any]] = response.json()["entries"]
            return entries

        everything = await audit()
        assert [(each["action"], each["actor"]["key_id"]) for each in everything[:5]] == [
            ("receipts-listed", reader),
            ("receipt-read", reader),
            ("rejected", sender),
            ("detected", sender),
            ("anonymized", sender),
        ]
        assert everything[0]["facts"] == {"receipts": 1, "source_ref": True}
        assert everything[0]["actor"]["key_name"].startswith("read-")
        assert [each["action"] for each in await audit(subject=receipt)] == ["receipt-read", "anonymized"]
        assert [each["subject"] for each in await audit(action="anonymized")] == [receipt]
        assert len(await audit(key=sender)) == 3
        assert {each["actor"]["key_id"] for each in await audit(action="audit-read")} == {admin}
        assert await audit(since=datetime.now(UTC).isoformat()) == []

        seen: list[str] = []
        query = {"limit": "2", "until": everything[0]["at"]}
        while True:
            page = (await client.get("/v1/audit", params=query, headers={"api-key": admin_token})).json()
            seen += [each["id"] for each in page["entries"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == [each["id"] for each in everything[1:]]
        for token in (sender_token, reader_token):
            problem(await client.get("/v1/audit", headers={"api-key": token}), 403, "not-permitted")
        refused = await client.get("/v1/audit?action=nonsense", headers={"api-key": admin_token})
        problem(refused, 422, "invalid-request")


async def test_a_receipt_is_not_shown_where_the_look_cannot_be_audited(
    rig: Rig, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.errors import RecordStoreUnavailable

    receipt = minimal()
    await rig.services.receipts.add(receipt)

    async def away(*_: object, **__: object) -> None:
        raise RecordStoreUnavailable

    monkeypatch.setattr(rig.services.audit, "add", away)
    for path in (f"/v1/receipts/{receipt.id}", "/v1/receipts", "/v1/receipts/export", "/v1/audit"):
        problem(await client.get(path), 503, "record-store-unavailable")


async def test_samples_and_verdicts(rig: Rig, picture: Picture) -> None:
    reviewer, token = await rig.token(Role.REVIEW)
    _, reader = await rig.token(Role.READ)
    key = {"api-key": token}
    since = datetime.now(UTC)
    async with rig.client(rig.app(keys_needed=False)) as client:
        ids = [(await send(client, picture())).headers["veil-receipt"] for _ in range(3)]
    period = {"since": since.isoformat(), "until": datetime.now(UTC).isoformat()}
    async with rig.client(rig.app(keys_needed=True)) as client:
        wanted = {**period, "n": 2, "seed": "a"}
        problem(await client.post("/v1/samples", json=wanted, headers={"api-key": reader}), 403, "not-permitted")
        drawn = await client.post("/v1/samples", json=wanted, headers=key)
        assert drawn.status_code == 201
        sample = drawn.json()
        assert (sample["population"], sample["n"], len(sample["receipts"])) == (3, 2, 2)
        assert set(sample["receipts"]) < set(ids)
        assert (await client.post("/v1/samples", json=wanted, headers=key)).json() == sample
        path = f"/v1/samples/{sample['id']}"
        for receipt, seen, missed in ((0, 3, 1), (1, 2, 0), (0, 3, 0)):
            verdict = {"receipt": sample["receipts"][receipt], "class": "face", "seen": seen, "missed": missed}
            done = await client.post(f"{path}/verdicts", json=verdict, headers=key)
            assert done.status_code == 201
        assert done.json() == (await client.get(path, headers=key)).json()
        assert done.json()["reviewed"] == 2
        [face] = done.json()["classes"]
        assert (face["class"], face["seen"], face["missed"], face["recall"], face["clean"]) == ("face", 5, 0, 1.0, 2)
        assert face["recall_bound"] == pytest.approx(0.05 ** (1 / 5))
        right = {"receipt": sample["receipts"][0], "class": "face", "seen": 1, "missed": 0}
        for wrong, pointer in (
            ({"class": "cat"}, "/class"),
            ({"seen": -1}, "/seen"),
            ({"missed": 2}, "/missed"),
            ({"receipt": str(UUID(int=0))}, "/receipt"),
            ({"more": 1}, "/more"),
        ):
            refused = await client.post(f"{path}/verdicts", json=right | wrong, headers=key)
            assert problem(refused, 422, "invalid-request")["problems"][0]["pointer"] == pointer
        problem(await client.get("/v1/samples/nonsense", headers=key), 404, "sample-not-found")
        future = {**wanted, "until": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
        refused = await client.post("/v1/samples", json=future, headers=key)
        assert problem(refused, 422, "invalid-request")["problems"][0]["pointer"] == "/until"
    entries = (await rig.services.audit.page(key=reviewer)).entries
    assert [entry.action for entry in entries] == [Action.VERDICT_RECORDED] * 3 + [Action.SAMPLE_DRAWN]


async def test_the_digest_of_the_boxes_is_theirs(rig: Rig, client: httpx.AsyncClient, picture: Picture) -> None:
    response = await send(client, picture())
    receipt = await rig.services.receipts.get(UUID(response.headers["veil-receipt"]))
    assert receipt.detections
    assert receipt.detections_digest == detections_digest(receipt.detections)
    assert receipt.detections_digest != detections_digest(receipt.detections[:-1])
