"""Who does the work of a run: this process, or servers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.app.veil import Veil
from service.client import AsyncClient, Problem, Unreachable, VeilClientError
from service.errors import DetectionFailed, RecordStoreUnavailable, UploadTooLarge, VeilError
from service.policy import Policy
from service.records.draft import Draft
from service.records.proof import write_proof

SERVER_AWAY = frozenset({401, 403, 502, 503, 504})
"""Answers that say nothing of the picture: the next one would fare no better."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished picture. `proof`: its signed receipt as a file, where this process signs."""

    data: bytes = field(repr=False)
    receipt: str
    counts: Mapping[str, int]
    proof: bytes | None = field(default=None, repr=False)


class PictureFailed(Exception):
    """One picture could not be anonymized: `problem` is its kind, `detail` says why. `outage`: not by its own fault."""

    def __init__(self, problem: str, detail: str, receipt: str | None = None, *, outage: bool = False) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
        self.receipt = receipt
        self.outage = outage


class Engine(Protocol):
    @property
    def facts(self) -> dict[str, Any]:
        """What decides the results: options, policy, models."""

    @property
    def limit(self) -> int:
        """Most bytes of a picture."""

    async def anonymize(self, data: bytes | None, source_ref: str | None) -> Made:
        """`data` is None for a file over the limit. Raises PictureFailed."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """The service's own way of a picture, receipts included."""

    veil: Veil
    policy: Policy

    @property
    def facts(self) -> dict[str, Any]:
        models = {spec.label: spec.sha256 for spec in self.veil.detection.used(self.policy)}
        return {"policy": self.policy.digest, "models": models}

    @property
    def limit(self) -> int:
        return self.veil.settings.limits.max_upload_bytes

    async def anonymize(self, data: bytes | None, source_ref: str | None) -> Made:
        draft = Draft(source_ref=source_ref)
        try:
            if data is None:
                async with self.veil.anonymizer.recorded(draft):
                    raise UploadTooLarge
            result = await self.veil.anonymizer.anonymize(data, self.policy, draft)
        except VeilError as error:
            outage = isinstance(error, RecordStoreUnavailable | DetectionFailed)
            receipt = str(draft.id) if draft.committed else None
            raise PictureFailed(error.slug, error.detail, receipt, outage=outage) from error
        proof = None if result.receipt.signature is None else write_proof(result.receipt)
        return Made(result.data, str(result.receipt.id), result.receipt.counts, proof)


@dataclass(frozen=True, slots=True)
class OverHttp:
    """Servers that share the work."""

    client: AsyncClient
    options: dict[str, str]
    models: dict[str, str]
    limit: int = 2**40
    """The servers know theirs, and say so before they read a picture."""

    @classmethod
    async def connect(cls, client: AsyncClient, options: dict[str, str]) -> "OverHttp":
        """Raises PictureFailed if no server answers or the key is refused."""
        try:
            models = {f"{m['name']}/{m['version']}": m["sha256"] for m in await client.models()}
        except VeilClientError as error:
            raise _failed(error) from error
        return cls(client, options, models)

    @property
    def facts(self) -> dict[str, Any]:
        return {"options": self.options, "models": self.models}

    async def anonymize(self, data: bytes | None, source_ref: str | None) -> Made:
        assert data is not None
        options = self.options if source_ref is None else {**self.options, "source_ref": source_ref}
        try:
            result = await self.client.anonymize(data, dict(options))
        except VeilClientError as error:
            raise _failed(error) from error
        return Made(result.data, result.receipt.id, result.receipt.counts)


def _failed(error: VeilClientError) -> PictureFailed:
    if isinstance(error, Problem):
        detail = error.detail + "".join(f"; {p.get('pointer')}: {p.get('detail')}" for p in error.problems)
        return PictureFailed(error.slug, detail, error.receipt, outage=error.status in SERVER_AWAY)
    return PictureFailed("unreachable", str(error), outage=isinstance(error, Unreachable))
