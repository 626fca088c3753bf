"""A signed receipt proves its picture, and nothing that was changed does."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service.policy import ClassPolicy, Policy, Shape
from service.records.audit import COMMAND_LINE, Action, AuditLog
from service.records.database import Database
from service.records.proof import ProofError, verify_proof, write_proof
from service.records.receipt import Outcome, OutputFacts, Receipt, Rewrite
from service.records.repository import ReceiptRepository
from service.records.signing import (
    PublicKey,
    Signer,
    SigningKeyError,
    b64,
    key_set,
    new_private_key,
    read_public_keys,
    unb64,
)
from service.records.signing_keys import SigningKeyRepository
from service.records.statement import canonical, detections_digest, statement
from tests.unit.records.stores import full, minimal

IMAGE = b"\xff\xd8 the bytes of a picture \xff\xd9" * 10
POLICY = Policy(classes=(ClassPolicy(name="face", threshold=0.1, margin=1e-7, shape=Shape.ELLIPSE),))
UNSIGNED = {"source_ref", "policy", "detections", "timings_ms", "signature"}
"""What the signature does not cover: the policy and the boxes are, by their digests."""


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer.read(new_private_key())


def receipt() -> Receipt:
    """Of a picture that left."""
    known = full()
    return replace(
        known,
        problem=None,
        output=OutputFacts("jpeg", len(IMAGE), hashlib.sha256(IMAGE).hexdigest(), Rewrite.PATCH),
        policy=POLICY.document(),
        policy_digest=POLICY.digest,
        detections_digest=detections_digest(known.detections),
        signature=None,
    )


def keys(*known: PublicKey) -> dict[str, PublicKey]:
    return {key.kid: key for key in known}


def test_a_picture_and_its_receipt_prove_each_other(signer: Signer) -> None:
    proven = verify_proof(IMAGE, write_proof(signer.sign(receipt())), keys(signer.public))
    assert proven.key == signer.public
    assert proven.statement["policy_digest"] == POLICY.digest
    assert [model["version"] for model in proven.statement["models"]] == ["1", "12"]


def test_any_changed_byte_of_the_receipt_is_noticed(signer: Signer) -> None:
    proof = write_proof(signer.sign(receipt()))
    for place in range(len(proof)):
        for changed in (proof[place] ^ 0x01, proof[place] ^ 0x20):
            with pytest.raises(ProofError):
                verify_proof(IMAGE, proof[:place] + bytes([changed]) + proof[place + 1 :], keys(signer.public))


@pytest.mark.parametrize(
    "change", [lambda p: p + b" ", lambda p: p[:-1], lambda p: p * 2, lambda p: b"", lambda p: b"[]"]
)
def test_a_receipt_of_another_form_is_none(signer: Signer, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ProofError):
        verify_proof(IMAGE, change(write_proof(signer.sign(receipt()))), keys(signer.public))


@pytest.mark.parametrize("document", ["0", "null", '{"receipt": 1}', "[" * 100_000, '"\\ud800"', "{}", "\xff"])
def test_nonsense_is_refused_plainly(signer: Signer, document: str) -> None:
    with pytest.raises(ProofError):
        verify_proof(IMAGE, document.encode("latin-1"), keys(signer.public))


def test_any_changed_byte_of_the_picture_is_noticed(signer: Signer) -> None:
    proof = write_proof(signer.sign(receipt()))
    for place in range(len(IMAGE)):
        changed = IMAGE[:place] + bytes([IMAGE[place] ^ 1]) + IMAGE[place + 1 :]
        with pytest.raises(ProofError, match="SHA-256"):
            verify_proof(changed, proof, keys(signer.public))


@pytest.mark.parametrize("name", [field.name for field in fields(Receipt)])
def test_every_field_is_covered(signer: Signer, name: str) -> None:
    """A receipt that was changed in the database does not verify with the signature that it had."""
    other = minimal(outcome=Outcome.REJECTED, finished_at=datetime(2020, 1, 1, tzinfo=UTC), service_version="9")
    other = replace(other, received_at=datetime(2020, 1, 1, tzinfo=UTC), tiles=5, problem="no", signature="a..b")
    signed = signer.sign(receipt())
    changed = replace(signed, **{name: getattr(other, name)})
    if name in UNSIGNED - {"signature"}:
        assert statement(changed) == statement(signed)
        return
    with pytest.raises(ProofError):
        verify_proof(IMAGE, write_proof(changed), keys(signer.public))


def test_another_policy_behind_the_digest_is_noticed(signer: Signer) -> None:
    signed = signer.sign(receipt())
    assert signed.policy is not None
    weaker = replace(signed, policy={**signed.policy, "quality": 50})
    with pytest.raises(ProofError, match="policy"):
        verify_proof(IMAGE, write_proof(weaker), keys(signer.public))


def test_the_receipt_of_a_failure_proves_no_picture(signer: Signer) -> None:
    failed = replace(receipt(), outcome=Outcome.FAILED)
    with pytest.raises(ProofError, match="picture that left"):
        verify_proof(IMAGE, write_proof(signer.sign(failed)), keys(signer.public))


def test_only_a_known_key_that_is_not_revoked_counts(signer: Signer) -> None:
    other = Signer.read(new_private_key())
    proof = write_proof(signer.sign(receipt()))
    with pytest.raises(ProofError, match="not among"):
        verify_proof(IMAGE, proof, keys(other.public))
    with pytest.raises(ProofError, match="not among"):
        verify_proof(IMAGE, proof, {})
    with pytest.raises(ProofError, match="does not belong"):
        verify_proof(IMAGE, proof, {signer.public.kid: other.public})
    with pytest.raises(ProofError, match="revoked"):
        verify_proof(IMAGE, proof, keys(replace(signer.public, revoked_at=datetime.now(UTC))))


def test_a_standard_library_for_ed25519_agrees(signer: Signer) -> None:
    """Checked by hand as RFC 7515 says, with nothing of ours but the canonical bytes of `json`."""
    document = json.loads(write_proof(signer.sign(receipt())))
    header, _, value = document["signature"].partition("..")
    payload = json.dumps(document["receipt"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert json.loads(unb64(header)) == {"alg": "EdDSA", "kid": signer.public.kid}
    key = Ed25519PublicKey.from_public_bytes(unb64(key_set([signer.public])["keys"][0]["x"]))
    key.verify(unb64(value), f"{header}.{b64(payload)}".encode())


def test_the_thumbprint_of_rfc_8037() -> None:
    """Appendix A.3: the key of RFC 8032 and its thumbprint."""
    key = PublicKey(unb64("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_keys_are_read_as_pem_and_as_key_set(signer: Signer) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = Ed25519PublicKey.from_public_bytes(signer.public.raw).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    assert read_public_keys(pem.decode()) == keys(signer.public)
    revoked = replace(signer.public, registered_at=datetime(2026, 1, 1, tzinfo=UTC), revoked_at=datetime.now(UTC))
    assert read_public_keys(json.dumps(key_set([revoked]))) == keys(revoked)
    assert read_public_keys(json.dumps(signer.public.jwk())) == keys(signer.public)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", "{}", '{"keys": [1]}', '{"keys": [{"kty": "OKP", "crv": "X25519", "x": "AA"}]}']
)
def test_other_keys_are_refused(text: str) -> None:
    with pytest.raises(SigningKeyError):
        read_public_keys(text)
    with pytest.raises(SigningKeyError) as caught:
        Signer.read(text)
    assert text == "" or text not in str(caught.value)


def test_a_key_of_another_kind_does_not_sign() -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(SigningKeyError):
        Signer.read(pem.decode())
    assert Signer(Ed25519PrivateKey.generate()).public != Signer(Ed25519PrivateKey.generate()).public


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"b": 1, "a": [True, None, 'ü\u001f"\n']}, b'{"a":[true,null,"\xc3\xbc\\u001f\\"\\n"],"b":1}'),
        ("\u2028\x7f", '"\u2028\x7f"'.encode()),
        ([], b"[]"),
    ],
)
def test_the_canonical_form_is_that_of_rfc_8785(value: Any, form: bytes) -> None:
    assert canonical(value) == form


@pytest.mark.parametrize("value", [0.5, {"ü": 1}, {1: 2}, b"", [1e300]])
def test_what_has_no_plain_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="signed form"):
        canonical(value)


async def test_a_signature_holds_after_the_database(receipts: ReceiptRepository, signer: Signer) -> None:
    """Also without its boxes, which their retention takes away."""
    await receipts.add(signer.sign(receipt()))
    stored = await receipts.get((await receipts.page()).receipts[0].id)
    for kept in (stored, replace(stored, detections=None)):
        verify_proof(IMAGE, write_proof(kept), keys(signer.public))


async def test_rotation_keeps_old_receipts_provable(database: Database, receipts: ReceiptRepository) -> None:
    store = SigningKeyRepository(database)
    first, second = Signer.read(new_private_key()), Signer.read(new_private_key())
    for signer in (first, first, second):
        await store.register(signer.public)
    old = write_proof(first.sign(receipt()))
    published = read_public_keys(json.dumps(key_set(await store.list())))
    assert [key.kid for key in await store.list()] == [second.public.kid, first.public.kid]
    verify_proof(IMAGE, old, published)
    entries = (await AuditLog(database).page(action=Action.SIGNING_KEY_REGISTERED)).entries
    assert [entry.subject for entry in entries] == [second.public.kid, first.public.kid]
    revoked = await store.revoke(first.public.kid, COMMAND_LINE)
    assert (await store.revoke(first.public.kid, COMMAND_LINE)).revoked_at == revoked.revoked_at
    assert len((await AuditLog(database).page(action=Action.SIGNING_KEY_REVOKED)).entries) == 1
    with pytest.raises(ProofError, match="revoked"):
        verify_proof(IMAGE, old, read_public_keys(json.dumps(key_set(await store.list()))))


async def test_a_private_key_is_nowhere_in_the_database(database: Database, signer: Signer, url: str) -> None:
    from pathlib import Path

    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    secret = signer._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    await SigningKeyRepository(database).register(signer.public)
    folder = Path(url.removeprefix("sqlite:///")).parent
    stored = b"".join(path.read_bytes() for path in folder.iterdir())
    assert signer.public.x.encode() in stored
    assert not any(form in stored for form in (secret, secret.hex().encode(), b64(secret).encode()))
