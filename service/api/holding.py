"""Requests that are held instead of refused: for clients that give up for good on the first error."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from service.errors import DetectorTimeout, DetectorUnavailable, ModelUnproven, RecordStoreUnavailable, VeilError

T = TypeVar("T")

PASSING: tuple[type[VeilError], ...] = (DetectorUnavailable, DetectorTimeout, ModelUnproven, RecordStoreUnavailable)
"""What is over once a server has restarted, or an operator has put something right."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0


class Deadline:
    """A moment on the event loop's clock, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._at = asyncio.get_running_loop().time() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, at least 0."""
        return max(0.0, self._at - asyncio.get_running_loop().time())


async def hold(
    attempt: Callable[[], Awaitable[T]],
    *,
    deadline: Deadline,
    ready: Callable[[], Awaitable[bool]],
    draining: asyncio.Event,
) -> T:
    """The result of `attempt`, made again after each passing failure as soon as `ready` says that it makes sense.

    Raises what the last attempt raised once it does not pass, the deadline is over or the process drains: then
    another replica may answer.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except PASSING:
            while True:
                if draining.is_set() or pause >= deadline.left:
                    raise
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await draining.wait()
                pause = min(2 * pause, LONGEST_PAUSE)
                if await ready():
                    break
