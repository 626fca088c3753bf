"""The document that travels with a picture: what was signed, the policy behind its digest, and the signature.

Its bytes are exact: whoever changes one, also a space, gets a document that does not verify.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.records.receipt import Receipt
from service.records.signing import PublicKey, check
from service.records.statement import TYPE, canonical, statement

MEMBERS: Final = {"receipt", "policy", "signature"}
MAX_BYTES: Final = 4 * 1024 * 1024


class ProofError(Exception):
    """The picture and the receipt do not prove what they should; the message says why."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What is certain now: the signed statement, and the key that signed it."""

    statement: dict[str, Any]
    key: PublicKey


def write_proof(receipt: Receipt) -> bytes:
    """The document of a signed receipt."""
    return _bytes({"receipt": statement(receipt), "policy": receipt.policy, "signature": receipt.signature})


def verify_proof(image: bytes, proof: bytes, keys: Mapping[str, PublicKey]) -> Proven:
    """What `proof` says of `image`, checked with `keys` (by id). Raises ProofError."""
    document = _read(proof)
    said = document["receipt"]
    try:
        key = check(document["signature"], canonical(said), keys)
    except ValueError as error:
        raise ProofError(str(error)) from None
    if key.revoked_at is not None:
        raise ProofError(f"the key that signed it was revoked at {key.revoked_at.isoformat()}")
    if document["policy"] is not None and _digest(document["policy"]) != said["policy_digest"]:
        raise ProofError("the policy is not the one that was signed")
    if said["type"] != TYPE or said["outcome"] != "ok" or said["output"]["sha256"] is None:
        raise ProofError("this is not the receipt of a picture that left")
    if hashlib.sha256(image).hexdigest() != said["output"]["sha256"]:
        raise ProofError("the picture is not the one that left: its SHA-256 is another")
    return Proven(said, key)


def _read(proof: bytes) -> dict[str, Any]:
    """The document, if it has the form and the very bytes that Veil writes. Raises ProofError."""
    try:
        document = json.loads(proof if len(proof) <= MAX_BYTES else b"")
        exact = isinstance(document, dict) and set(document) == MEMBERS and _bytes(document) == proof
    except (ValueError, TypeError, RecursionError):
        raise ProofError("this is not a receipt that Veil wrote") from None
    if not exact or not isinstance(document["receipt"], dict) or not isinstance(document["signature"], str):
        raise ProofError("the receipt was changed, or written anew, after Veil wrote it")
    return document  # type: ignore[no-any-return]


def _bytes(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _digest(policy: Any) -> str:
    """As `Policy.digest` makes it."""
    return hashlib.sha256(json.dumps(policy, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
