"""The way of one image, top to bottom: inspected, decoded, searched, masked, encoded, verified, recorded, out."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from service.detection.memory import DetectionMemory
from service.detection.tiled import TiledDetection
from service.errors import (
    InvalidRequest,
    NotPermitted,
    Overloaded,
    QuotaExceeded,
    RecordStoreUnavailable,
    ResidualFound,
    Unauthenticated,
    UploadRejected,
    VeilError,
)
from service.imaging.cells import picture_secret
from service.imaging.codec import decode, encode
from service.imaging.detections import Detections
from service.imaging.formats import output_format
from service.imaging.fusion import suppress
from service.imaging.jpeg_patch import patch
from service.imaging.masking import Mask, build_mask
from service.imaging.obscuring import Composite, obscure
from service.imaging.raster import Raster
from service.imaging.source import ImageFormat, Source, SourceLimits, inspect
from service.imaging.turbojpeg import TurboJpeg
from service.imaging.uprighting import store_upright
from service.imaging.verify import verify
from service.observability.logs import get_logger
from service.on_cpu import OnCpu
from service.policy import Coding, Policy, Verify
from service.records.draft import Draft
from service.records.receipt import (
    DetectionFacts,
    InputFacts,
    ModelFacts,
    Outcome,
    OutputFacts,
    Receipt,
    Rewrite,
)
from service.residual_search import Finished, ResidualSearch

Admit = Callable[[Source], Awaitable[None]]
"""Asked with a picture's size before it is decoded; raises what refuses it."""

logger = get_logger(__name__)

REJECTIONS = (UploadRejected, InvalidRequest, NotPermitted, Unauthenticated, Overloaded, QuotaExceeded, ResidualFound)


Sign = Callable[[Receipt], Receipt]
"""Gives a receipt its signature."""


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
    """Everything that one image needs, built once. `secret` keys the noise inside masks, `sign` signs receipts."""

    def __init__(
        self,
        *,
        detection: TiledDetection,
        receipts: ReceiptStore,
        cpu: Executor,
        limits: SourceLimits,
        secret: bytes,
        keep_detections: bool = True,
        turbojpeg: TurboJpeg | None = None,
        sign: Sign | None = None,
    ) -> None:
        self._detection = detection
        self._receipts = receipts
        self._limits = limits
        self._on_cpu = OnCpu(cpu)
        self._residual = ResidualSearch(detection=detection, on_cpu=self._on_cpu, limits=limits)
        self._secret = secret
        self._keep_detections = keep_detections
        self._turbojpeg = turbojpeg
        self._sign = sign or (lambda receipt: receipt)

    async def anonymize(self, data: bytes, policy: Policy, draft: Draft, admit: Admit | None = None) -> Anonymized:
        """The picture in `data` with everything that `policy` names hidden; it leaves only with a committed receipt.

        `admit` may refuse it once its size is known. Raises a VeilError of any kind, after a receipt that names it was
        stored (where that is possible).
        """
        async with self.recorded(draft):
            return await self.attempt(data, policy, draft, admit=admit)

    async def attempt(
        self,
        data: bytes,
        policy: Policy,
        draft: Draft,
        memory: DetectionMemory | None = None,
        admit: Admit | None = None,
    ) -> Anonymized:
        """As `anonymize`, but a failure is left for the caller to record, who may try again with the same draft.

        `memory`: where what was found is looked up and kept.
        """
        source = await self._inspect(data, policy, draft, admit)
        output_format(source.format, policy.format)  # refused before any work
        raster = await self._decode(source, policy, draft)
        found = await self._search(raster, policy, draft, data, memory)
        finished = await self._hide(source, raster, found, policy, draft)
        del raster  # used up; a picture's worth of memory
        if policy.verify is Verify.REDETECT:
            finished = await self._settle(finished, source, found, policy, draft)
        digest = await self._on_cpu(draft, "digest", _sha256, finished.data)
        draft.output = OutputFacts(finished.format.value, len(finished.data), digest, finished.rewrite)
        receipt = await self._commit(draft)
        return Anonymized(finished.data, finished.format, source, receipt)

    async def detect(self, data: bytes, policy: Policy, draft: Draft, admit: Admit | None = None) -> Found:
        """What `anonymize` would hide, and no picture. Raises like `anonymize`."""
        async with self.recorded(draft):
            source = await self._inspect(data, policy, draft, admit)
            raster = await self._decode(source, policy, draft)
            found = await self._search(raster, policy, draft)
            receipt = await self._commit(draft)
        return Found(source, suppress(found), receipt)

    async def _inspect(self, data: bytes, policy: Policy, draft: Draft, admit: Admit | None) -> Source:
        """Everything that can be said, and refused, without decoding a pixel."""
        draft.policy, draft.policy_digest = policy.document(), policy.digest
        draft.input = InputFacts(bytes=len(data))
        source = await self._on_cpu(draft, "inspect", inspect, data, self._limits)
        draft.input = InputFacts(source.format.value, source.width, source.height, len(data))
        if admit is not None:
            await admit(source)
        return source

    async def _decode(self, source: Source, policy: Policy, draft: Draft) -> Raster:
        """The pixels, as stored or turned upright."""
        raster = await self._on_cpu(draft, "decode", decode, source)
        return await self._on_cpu(draft, "decode", store_upright, raster) if policy.upright else raster

    async def _search(
        self, raster: Raster, policy: Policy, draft: Draft, data: bytes = b"", memory: DetectionMemory | None = None
    ) -> Detections:
        """Every detection at or over its threshold, for the mask; the draft gets the counted objects."""
        with draft.stage("detect"):
            if memory is None:
                searched = await self._detection.run(raster, policy)
            else:
                fingerprint = await self._on_cpu(draft, "fingerprint", memory.fingerprint, data, policy)
                searched = await memory.recall(fingerprint, lambda: self._detection.run(raster, policy))
        draft.engine, draft.tiles = searched.engine, searched.tiles
        draft.models = tuple(ModelFacts(s.name, s.version, s.sha256) for s in searched.models)
        self._note(searched.detections, draft)
        return searched.detections

    def _note(self, found: Detections, draft: Draft) -> None:
        """What the receipt says of `found`."""
        objects = suppress(found)
        draft.counts = objects.counts()
        draft.found = detection_facts(objects)
        draft.detections = draft.found if self._keep_detections else None

    async def _hide(self, source: Source, raster: Raster, found: Detections, policy: Policy, draft: Draft) -> Finished:
        """The picture with everything in `found` hidden, encoded and verified; uses `raster` up."""
        mask = await self._on_cpu(draft, "mask", build_mask, found, policy, raster.width, raster.height)
        composite = await self._on_cpu(draft, "obscure", self._obscure, raster, mask, source)
        to = output_format(source.format, policy.format)
        data, rewrite = await self._on_cpu(draft, "encode", self._write, composite, source, to, policy)
        await self._on_cpu(draft, "verify", verify, data, to, composite, policy.metadata_policy)
        return Finished(data, to, mask, rewrite)

    def _write(self, composite: Composite, source: Source, to: ImageFormat, policy: Policy) -> tuple[bytes, Rewrite]:
        """The finished file: a JPEG changed under its masks only, where that can be done and is wanted."""
        keep = policy.metadata_policy
        if source.format is to is ImageFormat.JPEG and self._turbojpeg and not policy.reencode:
            same = policy.coding is Coding.SAME
            patched = patch(composite, source, self._turbojpeg, keep, keep_progressive=same)
            if patched is not None:
                return patched, Rewrite.PATCH
        return encode(composite, to, policy.quality, keep), Rewrite.FULL

    def _obscure(self, raster: Raster, mask: Mask, source: Source) -> Composite:
        return obscure(raster, mask, picture_secret(self._secret, source.data))

    async def _settle(
        self, finished: Finished, source: Source, found: Detections, policy: Policy, draft: Draft
    ) -> Finished:
        """`finished` as the policy lets it out after one more search. Raises ResidualFound if it must not leave."""

        async def hide(everything: Detections) -> Finished:
            self._note(everything, draft)
            raster = await self._decode(source, policy, draft)
            return await self._hide(source, raster, everything, policy, draft)

        return await self._residual.settle(finished, found, policy, draft, hide)

    async def _commit(self, draft: Draft) -> Receipt:
        with draft.stage("record"):
            receipt = self._sign(draft.finish(Outcome.OK))
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
            await asyncio.shield(self._receipts.add(self._sign(draft.finish(outcome, problem))))
            draft.committed = True
        except RecordStoreUnavailable as error:
            logger.error("receipt-lost", receipt=str(draft.id), problem=problem, cause=error.cause)


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
