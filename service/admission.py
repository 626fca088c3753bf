"""Who may come in: a bounded queue before a bounded number of workers, so that load is refused and not collected."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.errors import Overloaded

MIN_RETRY, MAX_RETRY = 1.0, 60.0
SMOOTHING = 0.2
MOST_HELD = 1024
"""Patient requests that may wait for a place: each is an open connection."""


class Admission:
    """`workers` requests are worked on, `queue` more may wait, none longer than `wait_seconds`.

    A place is taken before the upload is read, which bounds the memory of waiting uploads; a worker is taken after.
    A protocol whose clients cannot come back later may be patient: its requests wait for a place with nothing read.
    """

    def __init__(self, *, workers: int, queue: int, wait_seconds: float) -> None:
        self._workers = asyncio.Semaphore(workers)
        self._worker_count = workers
        self._places = asyncio.Semaphore(workers + queue)
        self._wait_seconds = wait_seconds
        self._typical_seconds = 1.0
        self.places = 0
        self.working = 0
        self.held = 0

    @property
    def waiting(self) -> int:
        """Requests that hold a place and no worker."""
        return self.places - self.working

    @property
    def retry_after(self) -> float:
        """Seconds after which a place is likely free: the queue's length times the smoothed time of one picture."""
        rounds = math.ceil(max(1, self.places) / self._worker_count)
        return min(MAX_RETRY, max(MIN_RETRY, math.ceil(rounds * self._typical_seconds)))

    @asynccontextmanager
    async def place(self, patience: float = 0.0) -> AsyncIterator[None]:
        """Holds one place, in the order of asking. Raises Overloaded if none gets free within `patience` seconds.

        Without patience, and where too many wait already, that is at once.
        """
        if self._places.locked():
            if patience <= 0 or self.held >= MOST_HELD:
                raise Overloaded(retry_after=self.retry_after)
            self.held += 1
            try:
                await self._acquire(self._places, patience)
            finally:
                self.held -= 1
        else:
            await self._places.acquire()
        self.places += 1
        try:
            yield
        finally:
            self.places -= 1
            self._places.release()

    @asynccontextmanager
    async def worker(self, patience: float = 0.0) -> AsyncIterator[None]:
        """Holds one worker; only inside `place`.

        Raises Overloaded if none gets free within `wait_seconds`, or within `patience` if that is longer.
        """
        await self._acquire(self._workers, max(self._wait_seconds, patience))
        self.working += 1
        started = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - started
            self._typical_seconds += SMOOTHING * (spent - self._typical_seconds)
            self.working -= 1
            self._workers.release()

    async def _acquire(self, free: asyncio.Semaphore, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await free.acquire()
        except TimeoutError:
            raise Overloaded(retry_after=self.retry_after) from None
