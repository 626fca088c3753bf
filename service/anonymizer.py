"""The way of one image, top to bottom: inspected, decoded, searched, masked, encoded, verified, recorded, out."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service.detection.tiled import TiledDetection
from service.errors import (
    InvalidRequest,
    NotPermitted,
    Overloaded,
    RecordStoreUnavailable,
    Unauthenticated,
    UploadRejected,
    VeilError,
)
from service.imaging.codec import decode, encode
from service.imaging.detections import Detections
from service.imaging.fusion import suppress
from service.imaging.masking import build_mask
from service.imaging.obscuring import obscure
from service.imaging.raster import Raster
from service.imaging.source import ImageFormat, Source, SourceLimits, inspect
from service.imaging.verify import verify
from service.observability.logs import get_logger
from service.policy import OutputFormat, Policy
from service.records.draft import Draft
from service.records.receipt import DetectionFacts, InputFacts, ModelFacts, Outcome, OutputFacts, Receipt, Rewrite

T = TypeVar("T")
logger = get_logger(__name__)

REJECTIONS = (UploadRejected, InvalidRequest, NotPermitted, Unauthenticated, Overloaded)


class ReceiptStore(Protocol):
    async def add(self, receipt: Receipt) -> None:
        """Returns when `receipt` is committed; raises RecordStoreUnavailable if it is not."""


@dataclass(frozen=True, slots=True)
class Anonymized:
    """A finished picture, what it was made from, and its committed receipt."""

    data: bytes
    format: ImageFormat
    source: Source
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, without a picture; `detections` are counted objects, in pixels of the upright picture."""

    source: Source
    detections: Detections
    receipt: Receipt


class Anonymizer:
    """Everything that one image needs, built once. `secret` keys the noise inside masks."""

    def __init__(
        self,
        *,
        detection: TiledDetection,
        receipts: ReceiptStore,
        cpu: Executor,
        limits: SourceLimits,
        secret: bytes,
        keep_detections: bool = True,
    ) -> None:
        self._detection = detection
        self._receipts = receipts
        self._cpu = cpu
        self._limits = limits
        self._secret = secret
        self._keep_detections = keep_detections

    async def anonymize(self, data: bytes, policy: Policy, draft: Draft) -> Anonymized:
        """The picture in `data` with everything that `policy` names hidden; it leaves only with a committed receipt.

        Raises a VeilError of any kind, after a receipt that names it was stored (where that is possible).
        """
        async with self.recorded(draft):
            source = await self._inspect(data, policy, draft)
            raster = await self._on_cpu(draft, "decode", decode, source)
            found = await self._search(raster, policy, draft)
            mask = await self._on_cpu(draft, "mask", build_mask, found, policy, raster.width, raster.height)
            composite = await self._on_cpu(draft, "obscure", obscure, raster, mask, self._secret)
            to = source.format if policy.format is OutputFormat.SAME else ImageFormat(policy.format.value)
            finished = await self._on_cpu(draft, "encode", encode, composite, to, policy.quality)
            await self._on_cpu(draft, "verify", verify, finished, to, composite)
            digest = await self._on_cpu(draft, "digest", _sha256, finished)
            draft.output = OutputFacts(to.value, len(finished), digest, Rewrite.FULL)
            receipt = await self._commit(draft)
        return Anonymized(finished, to, source, receipt)

    async def detect(self, data: bytes, policy: Policy, draft: Draft) -> Found:
        """What `anonymize` would hide, and no picture. Raises like `anonymize`."""
        async with self.recorded(draft):
            source = await self._inspect(data, policy, draft)
            raster = await self._on_cpu(draft, "decode", decode, source)
            found = await self._search(raster, policy, draft)
            receipt = await self._commit(draft)
        return Found(source, suppress(found), receipt)

    async def _inspect(self, data: bytes, policy: Policy, draft: Draft) -> Source:
        """Everything that can be said, and refused, without decoding a pixel."""
        draft.policy, draft.policy_digest = policy.document(), policy.digest
        draft.input = InputFacts(bytes=len(data))
        source = await self._on_cpu(draft, "inspect", inspect, data, self._limits)
        draft.input = InputFacts(source.format.value, source.width, source.height, len(data))
        return source

    async def _search(self, raster: Raster, policy: Policy, draft: Draft) -> Detections:
        """Every detection at or over its threshold, for the mask; the draft gets the counted objects."""
        with draft.stage("detect"):
            searched = await self._detection.run(raster, policy)
        draft.engine, draft.tiles = searched.engine, searched.tiles
        draft.models = tuple(ModelFacts(s.name, s.version, s.sha256) for s in searched.models)
        objects = suppress(searched.detections)
        draft.counts = objects.counts()
        draft.detections = detection_facts(objects) if self._keep_detections else None
        return searched.detections

    async def _commit(self, draft: Draft) -> Receipt:
        with draft.stage("record"):
            receipt = draft.finish(Outcome.OK)
            await self._receipts.add(receipt)
        draft.committed = True
        return receipt

    @asynccontextmanager
    async def recorded(self, draft: Draft) -> AsyncIterator[None]:
        """Stores a receipt of whatever ends the request early, then lets it go on its way.

        A request that failed because the store did is not stored again; a client that left is.
        """
        try:
            yield
        except RecordStoreUnavailable:
            raise
        except asyncio.CancelledError:
            await self._record_end(draft, Outcome.FAILED, "client-disconnected")
            raise
        except VeilError as error:
            outcome = Outcome.REJECTED if isinstance(error, REJECTIONS) else Outcome.FAILED
            await self._record_end(draft, outcome, error.slug)
            raise
        except Exception:
            await self._record_end(draft, Outcome.FAILED, VeilError.slug)
            raise

    async def _record_end(self, draft: Draft, outcome: Outcome, problem: str) -> None:
        try:
            await asyncio.shield(self._receipts.add(draft.finish(outcome, problem)))
            draft.committed = True
        except RecordStoreUnavailable as error:
            logger.error("receipt-lost", receipt=str(draft.id), problem=problem, cause=error.cause)

    async def _on_cpu(self, draft: Draft, stage: str, work: Callable[..., T], *args: Any) -> T:
        """`work(*args)` on the bounded pool, timed as `stage`."""
        with draft.stage(stage):
            return await asyncio.get_running_loop().run_in_executor(self._cpu, work, *args)


def detection_facts(objects: Detections) -> tuple[DetectionFacts, ...]:
    """`objects` as the receipt and the wire carry them."""
    return tuple(
        DetectionFacts(
            class_name=objects.classes[objects.class_id[i]],
            score=round(float(objects.score[i]), 4),
            box=tuple(round(float(v), 1) for v in objects.xyxy[i]),  # type: ignore[arg-type]
            model=objects.models[objects.model_id[i]],
        )
        for i in range(len(objects))
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
