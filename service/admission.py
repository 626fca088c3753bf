"""Who may come in: a bounded queue before a bounded number of workers, so that load is refused and not collected."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.errors import Overloaded, TooMuchMemory

MIN_RETRY, MAX_RETRY = 1.0, 60.0
SMOOTHING = 0.2
MOST_HELD = 1024
"""Patient requests that may wait for a place: each is an open connection."""


SMALL = 1 / 16
"""Share of the memory up to which a picture is small."""

RESERVED = 1 / 8
"""Share of the memory that large pictures leave to small ones."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A request that holds a place and waits for a worker."""

    weight: int
    admitted: asyncio.Future[None]


class Admission:
    """`workers` requests are worked on, `queue` more may wait, none longer than `wait_seconds`.

    `memory`: bytes that those who are worked on may weigh together, None for no limit. Large pictures leave one worker
    and a part of the memory to small ones (`SMALL`, `RESERVED`), so that these never wait for a large one to end. Large
    ones come in the order of asking. Small ones may go before a large one that waits for memory, but then share what
    is reserved for them, so that it gets its turn.

    A place is taken before the upload is read, which bounds the memory of waiting uploads; a worker is taken after.
    A protocol whose clients cannot come back later may be patient: its requests wait for a place with nothing read.
    """

    def __init__(self, *, workers: int, queue: int, wait_seconds: float, memory: int | None = None) -> None:
        self._worker_count = workers
        self._memory = memory
        self._line: deque[_Waiting] = deque()
        self._small = self._large = 0
        self._large_working = 0
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
    async def worker(self, patience: float = 0.0, weight: int = 0) -> AsyncIterator[None]:
        """Holds one worker and `weight` bytes of the memory; only inside `place`.

        Raises Overloaded if they do not get free within `wait_seconds`, or within `patience` if that is longer, and
        TooMuchMemory if they never can.
        """
        if self._memory is not None and weight > self._memory * (1 - RESERVED):
            raise TooMuchMemory(cause=f"about {weight} bytes are needed, {self._memory} are there for all pictures")
        await self._admitted(weight, max(self._wait_seconds, patience))
        started = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - started
            self._typical_seconds += SMOOTHING * (spent - self._typical_seconds)
            self._count(weight, -1)
            self._call()

    async def _admitted(self, weight: int, seconds: float) -> None:
        """Returns once `weight` is counted as worked on."""
        mine = _Waiting(weight, asyncio.get_running_loop().create_future())
        self._line.append(mine)
        self._call()
        try:
            async with asyncio.timeout(seconds):
                await mine.admitted
        except BaseException as error:
            if mine in self._line:
                self._line.remove(mine)
            elif mine.admitted.done() and not mine.admitted.cancelled():
                self._count(weight, -1)  # admitted in the very moment of giving up
            self._call()
            if isinstance(error, TimeoutError):
                raise Overloaded(retry_after=self.retry_after) from None
            raise

    def _call(self) -> None:
        """Admits everybody who can be, in the order of asking but for what the class says of small ones."""
        held_up = False
        for each in list(self._line):
            if each.admitted.done() or not self._fits(each.weight, held_up):
                held_up = held_up or not self._is_small(each.weight)
                continue
            self._line.remove(each)
            self._count(each.weight, +1)
            each.admitted.set_result(None)

    def _fits(self, weight: int, held_up: bool) -> bool:
        """Whether `weight` may be worked on now; `held_up`: a large picture that came before it may not."""
        if self.working >= self._worker_count:
            return False
        if self._memory is None:
            return True
        reserved = self._memory * RESERVED
        if self._is_small(weight):
            free = self._small + self._large + weight <= self._memory
            return self._small + weight <= reserved or (free and not held_up)
        if held_up or self._large_working >= max(1, self._worker_count - 1):
            return False
        return self._small + self._large + weight <= self._memory and self._large + weight <= self._memory - reserved

    def _is_small(self, weight: int) -> bool:
        return self._memory is None or weight <= self._memory * SMALL

    def _count(self, weight: int, change: int) -> None:
        """Counts `weight` as worked on, or (-1) no longer."""
        self.working += change
        if self._is_small(weight):
            self._small += change * weight
        else:
            self._large += change * weight
            self._large_working += change

    async def _acquire(self, free: asyncio.Semaphore, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await free.acquire()
        except TimeoutError:
            raise Overloaded(retry_after=self.retry_after) from None
