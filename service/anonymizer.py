"""The way of one image, top to bottom: inspected, decoded, searched, masked, encoded, verified, recorded, out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from service.detection.memory import DetectionMemory
from service.detection.tiled import Searched, TiledDetection
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
from service.imaging.arrival import Arrival
from service.imaging.cells import picture_secret
from service.imaging.codec import begin, encode
from service.imaging.detections import Detections
from service.imaging.footprint import footprint
from service.imaging.formats import output_format
from service.imaging.fusion import suppress
from service.imaging.jpeg_patch import patch
from service.imaging.jpeg_turn import turns_whole
from service.imaging.layers import Cover, cover
from service.imaging.masking import Mask, build_mask
from service.imaging.obscuring import Composite, obscure
from service.imaging.projection import check_projection
from service.imaging.source import ImageFormat, Source, SourceLimits, inspect
from service.imaging.sphere import Float64
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
    Receipt,
    Rewrite,
)
from service.residual_search import Finished, Releasable, ResidualSearch

R = TypeVar("R", bound=Releasable)

Admit = Callable[[int], Awaitable[None]]
"""Asked with the number of pixels before they are decoded; raises what refuses them."""

logger = get_logger(__name__)

REJECTIONS = (UploadRejected, InvalidRequest, NotPermitted, Unauthenticated, Overloaded, QuotaExceeded, ResidualFound)


Sign = Callable[[Receipt], Receipt]
"""Gives a receipt its signature."""


class ReceiptStore(Protocol):
    async def add(self, receipt: Receipt) -> None:
        """Returns when `receipt` is committed; raises RecordStoreUnavailable if it is not."""


@dataclass(frozen=True, slots=True)
class Anonymized:
    """A finished picture, what it was made from, its committed receipt, and whether it was searched as a panorama."""

    data: bytes
    format: ImageFormat
    source: Source
    receipt: Receipt
    panorama: bool = False


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

    async def weigh(self, data: bytes, policy: Policy, draft: Draft) -> int:
        """Bytes of memory that `data` will need under `policy`, from its header. Raises UploadRejected and others."""
        source = await self._inspect(data, policy, draft)
        return footprint(source, policy, patching=self._turbojpeg is not None)

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
        arrival = await self._begin(source, policy, draft)
        found = await self._search(arrival, policy, draft, data, memory)
        finished = await self._hide(source, arrival, found, policy, draft)

        async def hide(everything: Detections) -> Finished:
            return await self._hide(source, await self._decoded(source, policy, draft), everything, policy, draft)

        finished, receipt = await self._released(finished, found, policy, draft, hide)
        return Anonymized(finished.data, finished.format, source, receipt, found.sphere is not None)

    async def detect(self, data: bytes, policy: Policy, draft: Draft, admit: Admit | None = None) -> Found:
        """What `anonymize` would hide, and no picture. Raises like `anonymize`."""
        async with self.recorded(draft):
            source = await self._inspect(data, policy, draft, admit)
            arrival = await self._begin(source, policy, draft)
            found = await self._search(arrival, policy, draft)
            receipt = await self._commit(draft)
        return Found(source, suppress(found), receipt)

    async def _inspect(self, data: bytes, policy: Policy, draft: Draft, admit: Admit | None = None) -> Source:
        """Everything that can be said, and refused, without decoding a pixel."""
        draft.policy, draft.policy_digest = policy.document(), policy.digest
        draft.input = InputFacts(bytes=len(data))
        source = await self._on_cpu(draft, "inspect", inspect, data, self._limits)
        draft.input = InputFacts(source.format.value, source.width, source.height, len(data))
        check_projection(source, policy.projection)
        if admit is not None:
            await admit(source.width * source.height)
        return source

    async def _begin(self, source: Source, policy: Policy, draft: Draft) -> Arrival:
        """The picture as stored, of which not a row need be decoded yet; or, if asked for, all of it turned upright."""
        arrival = await self._on_cpu(draft, "decode", begin, source)
        if policy.upright and source.orientation != 1:
            await self._on_cpu(draft, "decode", arrival.decode)
            return Arrival(await self._on_cpu(draft, "decode", store_upright, arrival.take()))
        return arrival

    async def _search(
        self, arrival: Arrival, policy: Policy, draft: Draft, data: bytes = b"", memory: DetectionMemory | None = None
    ) -> Detections:
        """Every detection at or over its threshold, for the mask; the draft gets the counted objects.

        The picture is decoded meanwhile. The time of "detect" is what is left to do once it is.
        """
        if memory is not None:
            fingerprint = await self._on_cpu(draft, "fingerprint", memory.fingerprint, data, policy)

        async def search() -> Searched:
            def run() -> Awaitable[Searched]:
                return self._detection.run(arrival.raster, policy, arrival.reached)

            return await (run() if memory is None else memory.recall(fingerprint, run))

        try:
            async with asyncio.TaskGroup() as group:
                searching = group.create_task(search())
                await self._on_cpu(draft, "decode", arrival.decode)
                with draft.stage("detect"):
                    searched = await searching
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            arrival.stop()
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

    async def _hide(
        self, source: Source, arrival: Arrival, found: Detections, policy: Policy, draft: Draft
    ) -> Finished:
        """The picture with everything in `found` hidden, encoded and verified; uses the decoded `arrival` up."""
        mask = await self._on_cpu(draft, "mask", build_mask, found, policy, source.width, source.height)
        return await self._finish(source, arrival, mask, policy, draft)

    async def _finish(self, source: Source, arrival: Arrival, mask: Mask, policy: Policy, draft: Draft) -> Finished:
        """The picture with `mask` applied, encoded and verified; uses the decoded `arrival` up."""
        to, keep = output_format(source.format, policy.format), policy.metadata_policy
        rewrite, data = Rewrite.PATCH, None
        if self._patches(source, to, policy):
            # The cover keeps no pixel: they are gone before the coefficients of the whole picture are in memory.
            over = await self._on_cpu(draft, "obscure", self._cover, arrival, mask, source)
            data = await self._on_cpu(draft, "encode", self._patch, over, source, policy)
            if data is None:
                arrival = await self._decoded(source, policy, draft)
        if data is None:
            rewrite = Rewrite.FULL
            over = composite = await self._on_cpu(draft, "obscure", self._obscure, arrival, mask, source)
            data = await self._on_cpu(draft, "encode", encode, composite, to, policy.quality, keep)
        await self._on_cpu(draft, "verify", verify, data, to, over, keep)
        return Finished(data, to, mask, rewrite)

    async def _decoded(self, source: Source, policy: Policy, draft: Draft) -> Arrival:
        """The whole picture, once more."""
        arrival = await self._begin(source, policy, draft)
        await self._on_cpu(draft, "decode", arrival.decode)
        return arrival

    def _patches(self, source: Source, to: ImageFormat, policy: Policy) -> bool:
        """Whether the finished file is to be a JPEG changed under its masks only, as far as can be said beforehand."""
        jpeg = source.format is to is ImageFormat.JPEG
        if not jpeg or self._turbojpeg is None or policy.reencode:
            return False
        return not policy.upright or source.orientation == 1 or turns_whole(source)

    def _patch(self, over: Cover, source: Source, policy: Policy) -> bytes | None:
        assert self._turbojpeg is not None
        same = policy.coding is Coding.SAME
        return patch(over, source, self._turbojpeg, policy.metadata_policy, keep_progressive=same)

    def _cover(self, arrival: Arrival, mask: Mask, source: Source) -> Cover:
        return cover(arrival.take(), mask, picture_secret(self._secret, source.data))

    def _obscure(self, arrival: Arrival, mask: Mask, source: Source) -> Composite:
        return obscure(arrival.take(), mask, picture_secret(self._secret, source.data))

    async def _released(
        self, finished: R, found: Detections, policy: Policy, draft: Draft, hide: Callable[[Detections], Awaitable[R]]
    ) -> tuple[R, Receipt]:
        """`finished`, in which `found` is hidden, as the policy lets it out, and its committed receipt.

        `hide` makes it anew with more hidden. Raises ResidualFound if it must not leave.
        """

        async def hide_more(everything: Detections) -> R:
            self._note(everything, draft)
            return await hide(everything)

        if policy.verify is Verify.REDETECT:
            finished = await self._residual.settle(finished, found, policy, draft, hide_more)
        draft.output = await self._on_cpu(draft, "digest", finished.facts)
        return finished, await self._commit(draft)

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
            polygon=_rounded(objects.polygon(i)),
        )
        for i in range(len(objects))
    )


def _rounded(polygon: Float64 | None) -> tuple[tuple[float, float], ...] | None:
    return None if polygon is None else tuple((round(x, 1), round(y, 1)) for x, y in polygon.tolist())
