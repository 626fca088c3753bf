"""One model in several accepted versions: each picture is answered by one of them, whole.

What a server offers decides, so that all replicas change over together and nothing has to be told to them: the wanted
version as soon as it is served and proven, another accepted one as long as it is not.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from service.detection.detector import TileBoxes, Tiles
from service.detection.proven import ProvenDetector
from service.errors import DetectionFailed
from service.models.catalog import ModelSpec
from service.observability.logs import get_logger

logger = get_logger(__name__)

FRESH_SECONDS: Final = 1.0
"""How long a choice holds before the server is asked again."""


class VersionedDetector:
    """`versions` of one model, in the order in which they are preferred; the first is the wanted one."""

    def __init__(self, versions: Sequence[ProvenDetector]) -> None:
        self._versions = tuple(versions)
        self._lock = asyncio.Lock()
        self._chosen: ProvenDetector | None = None
        self._chosen_at = 0.0

    @property
    def spec(self) -> ModelSpec:
        """The wanted version."""
        return self._versions[0].spec

    @property
    def serving(self) -> ModelSpec:
        """The version that answered last, or the wanted one."""
        return self.spec if self._chosen is None else self._chosen.spec

    @property
    def proven(self) -> bool:
        return any(each.proven for each in self._versions)

    @property
    def max_batch(self) -> int:
        return min(each.max_batch for each in self._versions)

    @property
    def any_size(self) -> bool:
        return all(each.any_size for each in self._versions)

    async def choose(self, *, again: bool = False) -> ProvenDetector:
        """The version that is to answer a picture. `again`: asks the server, however fresh the last choice is.

        Raises what keeps the wanted version from answering, if none can.
        """
        asked_at = time.monotonic()
        async with self._lock:
            chosen = self._chosen
            fresh = self._chosen_at > (asked_at if again else time.monotonic() - FRESH_SECONDS)
            if chosen is not None and chosen.proven and fresh:
                return chosen
            chosen = await self._first()
            if self._chosen is not None and self._chosen is not chosen:
                logger.warning("model-version-changed", before=self._chosen.spec.label, after=chosen.spec.label)
            self._chosen, self._chosen_at = chosen, time.monotonic()
            return chosen

    async def detect(self, tiles: Tiles) -> TileBoxes:
        """As `Detector.detect`, by the version that is chosen now; whoever sends several batches chooses once."""
        return await (await self.choose()).detect(tiles)

    async def check(self) -> None:
        """As `Detector.check`: whether some accepted version can serve."""
        await self.choose(again=True)

    async def prove(self) -> None:
        """Proves anew whichever versions the server offers; what is wrong is logged and ends their use."""
        for each in self._versions:
            try:
                await each.prove()
            except DetectionFailed as error:
                if each is self._chosen:
                    logger.error("model-failed", model=each.spec.label, problem=error.slug, cause=error.cause)

    async def close(self) -> None:
        for each in self._versions:
            await each.close()

    async def _first(self) -> ProvenDetector:
        wanted: DetectionFailed | None = None
        for each in self._versions:
            try:
                await each.check()
            except DetectionFailed as error:
                wanted = wanted or error
            else:
                return each
        assert wanted is not None, "there is at least one version"
        raise wanted
