"""Tiles in memory that a Triton server on the same machine maps as well, rather than in messages.

A region has a name in /dev/shm only until the server has mapped it: whatever becomes of either process then, no tile is
left behind under a name. It is zeroed as soon as its batch is answered. A server that cannot map it (another machine,
user or IPC namespace) gets messages.
"""

import asyncio
import contextlib
import mmap
import os
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from service.detection.contract import INPUT
from service.detection.detector import Tiles
from service.imaging.raster import UInt8Image
from service.observability.logs import get_logger

logger = get_logger(__name__)

PLACE = Path("/dev/shm")  # noqa: S108 - what POSIX shared memory is on Linux; names are random, files are ours alone
REGISTER_SECONDS = 5.0
RETRY_SECONDS = 60.0
"""How long messages are sent after a server refused to map a region."""


@dataclass(frozen=True, slots=True)
class _Region:
    name: str
    memory: mmap.mmap

    def view(self, count: int) -> UInt8Image:
        view: UInt8Image = np.frombuffer(self.memory, np.uint8, count)
        return view


class SharedTiles:
    """The regions that one process shares with the server of `client`, made when needed and used again."""

    def __init__(self, client: InferenceServerClient, place: Path = PLACE) -> None:
        self._client = client
        self._place = place
        self._free: dict[int, list[_Region]] = defaultdict(list)
        self._names: set[str] = set()
        self._messages_until = 0.0

    @asynccontextmanager
    async def lent(self, tiles: Tiles, capacity: int) -> AsyncIterator[InferInput | None]:
        """The input for `tiles`, in a region of `capacity` bytes; None if they have to go in a message."""
        region = await self._take(capacity)
        if region is None:
            yield None
            return
        view = region.view(tiles.nbytes)
        try:
            np.copyto(view, tiles.reshape(-1))
            given = InferInput(INPUT, list(tiles.shape), "UINT8")
            given.set_shared_memory(region.name, tiles.nbytes)
            yield given
        finally:
            view.fill(0)
            del view
            if region.name in self._names:
                self._free[capacity].append(region)
            else:
                region.memory.close()

    def forget(self) -> None:
        """Every region is to be made anew: the server that had mapped them was started again."""
        self._names.clear()
        self._close_free()

    async def close(self) -> None:
        """Gives all regions back, the server's part too if it still answers."""
        for name in self._names:
            with contextlib.suppress(InferenceServerException):
                await self._client.unregister_system_shared_memory(name, client_timeout=REGISTER_SECONDS)
        self.forget()

    async def _take(self, capacity: int) -> _Region | None:
        if self._free[capacity]:
            return self._free[capacity].pop()
        if time.monotonic() < self._messages_until:
            return None
        try:
            region = await self._made(capacity)
        except (OSError, InferenceServerException) as error:
            self._messages_until = time.monotonic() + RETRY_SECONDS
            logger.warning("tiles-not-shared", cause=str(error))
            return None
        self._names.add(region.name)
        return region

    async def _made(self, capacity: int) -> _Region:
        name = f"veil-{secrets.token_hex(12)}"
        path = self._place / name
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            # Taken now, so that a full file system is an error here and not a signal later.
            os.posix_fallocate(descriptor, 0, capacity)
            memory = mmap.mmap(descriptor, capacity)
            await asyncio.wait_for(
                self._client.register_system_shared_memory(name, f"/{name}", capacity, client_timeout=REGISTER_SECONDS),
                REGISTER_SECONDS,
            )
        finally:
            os.close(descriptor)
            path.unlink()
        return _Region(name, memory)

    def _close_free(self) -> None:
        for regions in self._free.values():
            for region in regions:
                region.memory.close()
        self._free.clear()
