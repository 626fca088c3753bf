"""Searching the finished picture once more, by its finished bytes, as whoever gets it will see it."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from service.detection.tiled import TiledDetection
from service.errors import ResidualFound
from service.imaging.codec import decode
from service.imaging.detections import Detections, merge
from service.imaging.fusion import suppress
from service.imaging.masking import Mask
from service.imaging.raster import Raster
from service.imaging.residual import residual
from service.imaging.source import ImageFormat, SourceLimits, inspect
from service.on_cpu import OnCpu
from service.policy import Effort, Policy, Residual
from service.records.draft import Draft
from service.records.receipt import OutputFacts, ResidualFacts, ResidualOutcome, Rewrite

HIDE_AGAIN = 2
"""How often a picture is made anew because something was found in the finished one."""


class Releasable(Protocol):
    """What is verified and not recorded yet: one picture, or several that are one."""

    @property
    def mask(self) -> Mask:
        """What is hidden, in pixels of what `reopened` gives."""

    def reopened(self, limits: SourceLimits) -> Raster:
        """The finished bytes, as whoever gets them will decode them."""

    def facts(self) -> OutputFacts:
        """What the receipt says of the finished bytes."""


R = TypeVar("R", bound=Releasable)


@dataclass(frozen=True, slots=True)
class Finished:
    """One picture; `Releasable`."""

    data: bytes
    format: ImageFormat
    mask: Mask
    rewrite: Rewrite

    def reopened(self, limits: SourceLimits) -> Raster:
        return decode(inspect(self.data, limits))

    def facts(self) -> OutputFacts:
        return OutputFacts(self.format.value, len(self.data), hashlib.sha256(self.data).hexdigest(), self.rewrite)


class ResidualSearch:
    """Decides whether finished pictures may leave as they are."""

    def __init__(self, *, detection: TiledDetection, on_cpu: OnCpu, limits: SourceLimits) -> None:
        self._detection = detection
        self._on_cpu = on_cpu
        self._limits = limits

    async def settle(
        self,
        finished: R,
        found: Detections,
        policy: Policy,
        draft: Draft,
        hide: Callable[[Detections], Awaitable[R]],
    ) -> R:
        """`finished`, in which `found` is hidden, as the policy lets it out; the outcome goes into `draft`.

        `hide` makes the picture anew, with everything hidden that it is given. Raises ResidualFound if something is
        left that the policy does not accept.
        """
        count = 0
        for attempt in range(1 + HIDE_AGAIN):
            left = await self._left(finished, policy, draft)
            objects = len(suppress(left))
            count += objects
            if not objects:
                draft.residual = ResidualFacts(count, ResidualOutcome.HIDDEN if count else ResidualOutcome.CLEAN)
                return finished
            if policy.residual is not Residual.HIDE or attempt == HIDE_AGAIN:
                break
            found = merge([found, left], found.classes, found.models)
            finished = await hide(found)
        if policy.residual is Residual.ACCEPT:
            draft.residual = ResidualFacts(count, ResidualOutcome.ACCEPTED)
            return finished
        draft.residual = ResidualFacts(count, ResidualOutcome.REFUSED)
        raise ResidualFound

    async def _left(self, finished: Releasable, policy: Policy, draft: Draft) -> Detections:
        """What the most thorough search finds in the finished bytes and the mask does not account for."""
        again = await self._on_cpu(draft, "redetect", finished.reopened, self._limits)
        with draft.stage("redetect"):
            searched = await self._detection.run(again, policy.model_copy(update={"effort": Effort.THOROUGH}))
        return await self._on_cpu(draft, "redetect", residual, searched.detections, finished.mask)
