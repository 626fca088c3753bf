"""Purges by the clock, in every replica: each batch is taken by one of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Final

from service.errors import RecordStoreUnavailable
from service.observability.logs import get_logger
from service.records.audit import SERVICE
from service.records.retention import Retention, RetentionRepository

logger = get_logger(__name__)

FIRST_SECONDS: Final = 60.0
"""A start has other things to do."""


@asynccontextmanager
async def purges(repository: RetentionRepository, wanted: Retention, hours: float) -> AsyncIterator[None]:
    """While the block runs, `wanted` is in force and what it does not keep is removed every `hours`.

    Raises RecordStoreUnavailable if it cannot be stated.
    """
    if await repository.state(wanted, SERVICE):
        logger.info("retention-changed", **asdict(wanted))
    if not wanted:
        yield
        return
    task = asyncio.create_task(_for_ever(repository, hours * 3600))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _for_ever(repository: RetentionRepository, seconds: float) -> None:
    await asyncio.sleep(min(FIRST_SECONDS, seconds))
    while True:
        try:
            purged = await repository.purge(SERVICE)
        except RecordStoreUnavailable as error:
            # What is over is still there at the next time.
            logger.warning("purge-failed", cause=error.cause)
        else:
            if any(asdict(purged).values()):
                logger.info("purged", **asdict(purged))
        await asyncio.sleep(seconds)
