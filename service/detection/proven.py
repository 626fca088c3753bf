"""A detector that answers only while it is proven: the catalog's file, and the golden answers reproduced.

Proven before the first answer, again after its server was away (another one may have come back), and whenever `prove`
is called, which the service does on a schedule.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from service.detection.detector import SOON, Detector, TileBoxes, Tiles
from service.detection.golden import difference
from service.errors import DetectionFailed, DetectorTimeout, DetectorUnavailable, ModelUnproven
from service.models.catalog import ModelSpec
from service.models.golden import Golden
from service.observability.logs import get_logger

logger = get_logger(__name__)

RETRY_SECONDS: Final = 5.0
"""How long a model that is not what it should be stays refused before it is looked at again."""


class ProvenDetector:
    """`detector` behind its proof. `verify_file`: what is wrong with its file, None if nothing or if it has none here.

    `golden` may be None, which is as bad as a wrong answer: the operator must make one.
    """

    def __init__(
        self, detector: Detector, golden: Golden | None, verify_file: Callable[[], str | None] | None = None
    ) -> None:
        self._detector = detector
        self._golden = golden
        self._verify_file = verify_file
        self._lock = asyncio.Lock()
        self._failure: DetectionFailed | None = None
        self._failed_at = 0.0
        self._proven = False

    @property
    def proven(self) -> bool:
        """Whether it may answer."""
        return self._proven

    @property
    def spec(self) -> ModelSpec:
        return self._detector.spec

    @property
    def max_batch(self) -> int:
        return self._detector.max_batch

    @property
    def any_size(self) -> bool:
        return self._detector.any_size

    async def detect(self, tiles: Tiles) -> TileBoxes:
        """As `Detector.detect`. Raises ModelUnproven, too."""
        await self._ensure()
        try:
            return await self._detector.detect(tiles)
        except (DetectorUnavailable, DetectorTimeout) as error:
            self._gone(error)
            raise

    async def check(self) -> None:
        """As `Detector.check`; proves it where that is due. Raises ModelUnproven, too."""
        try:
            await self._detector.check()
        except DetectionFailed as error:
            self._gone(error)
            raise
        await self._ensure()

    async def prove(self) -> None:
        """Looks at the file and asks for the golden answers, whatever was found before. Raises DetectionFailed."""
        async with self._lock:
            await self._prove()

    async def close(self) -> None:
        await self._detector.close()

    async def _ensure(self) -> None:
        if self.proven:
            return
        async with self._lock:
            if self._proven:
                return
            if self._failure is not None and time.monotonic() - self._failed_at < RETRY_SECONDS:
                raise self._failure
            await self._prove()

    async def _prove(self) -> None:
        try:
            wrong = None if self._verify_file is None else await asyncio.to_thread(self._verify_file)
            if wrong is None:
                wrong = await self._difference()
            if wrong is not None:
                raise ModelUnproven(
                    f"{self.spec.label} is not proven: {wrong}. No image was released.", retry_after=RETRY_SECONDS
                )
        except DetectionFailed as error:
            self._proven = False
            if isinstance(error, ModelUnproven):
                self._failure, self._failed_at = error, time.monotonic()
                logger.error("model-unproven", model=self.spec.label, reason=error.detail)
            raise
        if not self.proven:
            logger.info("model-proven", model=self.spec.label)
        self._failure, self._proven = None, True

    async def _difference(self) -> str | None:
        if self._golden is None:
            return "there are no golden answers; run 'veil models golden'"
        return await difference(self._detector, self._golden)

    def _gone(self, error: DetectionFailed) -> None:
        """A server that was away must prove itself again; one that is only busy need not."""
        if error.retry_after != SOON:
            self._proven = False
