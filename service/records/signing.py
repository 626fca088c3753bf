"""Ed25519 signatures of receipts, as detached JSON Web Signatures, and the keys to check them with.

RFC 8032 (Ed25519), RFC 7515 appendix F (a JWS without its payload, which the receipt has already), RFC 8037 (the key
as JWK), RFC 7638 (its thumbprint, which is the key's id).
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service.records.receipt import Receipt
from service.records.statement import canonical, statement

PUBLIC_BYTES: Final = 32


class SigningKeyError(ValueError):
    """A key that cannot be used; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that receipts are checked with: 32 bytes, since when it signs, and when it was revoked, if it was."""

    raw: bytes
    registered_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def x(self) -> str:
        return b64(self.raw)

    @property
    def kid(self) -> str:
        """The thumbprint of RFC 7638, 43 characters."""
        return b64(hashlib.sha256(canonical({"crv": "Ed25519", "kty": "OKP", "x": self.x})).digest())

    def jwk(self) -> dict[str, Any]:
        """The key as RFC 8037 has it, with members of our own for its history."""
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": self.x,
            "kid": self.kid,
            "alg": "EdDSA",
            "use": "sig",
            "registered_at": None if self.registered_at is None else self.registered_at.isoformat(),
            "revoked_at": None if self.revoked_at is None else self.revoked_at.isoformat(),
        }

    def accepts(self, signature: bytes, data: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except InvalidSignature:
            return False
        return True


class Signer:
    """Signs receipts with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(
            key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )
        self._header = b64(canonical({"alg": "EdDSA", "kid": self.public.kid}))

    @classmethod
    def read(cls, pem: str) -> "Signer":
        """The key in `pem` (PKCS #8). Raises SigningKeyError."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyError("give an Ed25519 private key as PEM without a password: 'veil keys signing new FILE'")
        return cls(key)

    def sign(self, receipt: Receipt) -> Receipt:
        """`receipt` with its signature."""
        payload = b64(canonical(statement(receipt)))
        value = self._key.sign(f"{self._header}.{payload}".encode())
        return replace(receipt, signature=f"{self._header}..{b64(value)}")


def new_private_key() -> str:
    """A new key, as PEM."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def check(signature: str, payload: bytes, keys: Mapping[str, PublicKey]) -> PublicKey:
    """The key of `keys` (by id) that made the detached `signature` of `payload`. Raises ValueError saying why none."""
    header, dots, value = signature.partition("..")
    try:
        parsed = json.loads(unb64(header))
        raw = unb64(value)
    except ValueError:
        parsed, raw = None, b""
    if not dots or not isinstance(parsed, dict) or set(parsed) != {"alg", "kid"} or parsed["alg"] != "EdDSA":
        raise ValueError("the signature does not have the form that Veil gives it")
    key = keys.get(str(parsed["kid"]))
    if key is None:
        raise ValueError(f"it was signed with the key {parsed['kid']}, which is not among the given ones")
    if not key.accepts(raw, f"{header}.{b64(payload)}".encode()):
        raise ValueError("the signature does not belong to this receipt")
    return key


def read_public_keys(text: str) -> dict[str, PublicKey]:
    """The keys in `text`, by id: a PEM public key, a JWK, or a set of them. Raises SigningKeyError."""
    if text.lstrip().startswith("-----BEGIN"):
        try:
            key = serialization.load_pem_public_key(text.encode())
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise SigningKeyError("this is not an Ed25519 public key")
        found = [PublicKey(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))]
    else:
        try:
            parsed: dict[str, Any] = json.loads(text)
            found = [_from_jwk(each) for each in parsed.get("keys", [parsed])]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise SigningKeyError("this is neither a PEM public key nor a JSON Web Key Set of Ed25519 keys") from None
    return {each.kid: each for each in found}


def key_set(keys: list[PublicKey]) -> dict[str, Any]:
    """`keys` as JSON Web Key Set (RFC 7517, section 5)."""
    return {"keys": [each.jwk() for each in keys]}


def _from_jwk(jwk: Any) -> PublicKey:
    raw = unb64(jwk["x"])
    if (jwk["kty"], jwk["crv"], len(raw)) != ("OKP", "Ed25519", PUBLIC_BYTES):
        raise ValueError("not an Ed25519 key")
    registered, revoked = jwk.get("registered_at"), jwk.get("revoked_at")
    return PublicKey(
        raw,
        None if registered is None else datetime.fromisoformat(registered),
        None if revoked is None else datetime.fromisoformat(revoked),
    )


def b64(data: bytes) -> str:
    """Base64 of RFC 7515: URL-safe, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes that `b64` made `text` of. Raises ValueError for any other text."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64(data) != text:  # one value has one text: bits that mean nothing cannot be changed unseen
        raise ValueError("not the URL-safe base64 of RFC 7515")
    return data
