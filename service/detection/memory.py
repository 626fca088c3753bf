"""What was found in recent uploads, so that the same bytes are searched once: boxes only, for minutes, in memory only.

An upload is known by a keyed hash whose key lives and dies with the process: nobody who reads the memory later can
tell which file it was, and nothing of a picture is kept.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from service.detection.tiled import Searched
from service.policy import Policy

SECONDS = 300.0
MOST = 512

Fingerprint = tuple[bytes, str]


class DetectionMemory:
    """Remembers up to `most` searches, each for `seconds`; belongs to one event loop."""

    def __init__(self, *, seconds: float = SECONDS, most: int = MOST) -> None:
        self._seconds = seconds
        self._most = most
        self._key = secrets.token_bytes(32)
        self._known: dict[Fingerprint, Searched] = {}
        self._searching: WeakValueDictionary[Fingerprint, asyncio.Lock] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._known)

    def fingerprint(self, data: bytes, policy: Policy) -> Fingerprint:
        """Names the search of the upload `data` under `policy`, to this process only; about 1 ms per megabyte."""
        return hashlib.blake2b(data, key=self._key, digest_size=32).digest(), policy.digest

    async def recall(self, fingerprint: Fingerprint, search: Callable[[], Awaitable[Searched]]) -> Searched:
        """What an earlier search found, else what `search` finds; equal uploads at the same time are searched once.

        Raises what `search` raises, which is not remembered.
        """
        lock = self._searching.setdefault(fingerprint, asyncio.Lock())
        async with lock:
            if fingerprint not in self._known:
                self._remember(fingerprint, await search())
            return self._known[fingerprint]

    def _remember(self, fingerprint: Fingerprint, searched: Searched) -> None:
        while len(self._known) >= self._most:
            self._known.pop(next(iter(self._known)))
        self._known[fingerprint] = searched
        asyncio.get_running_loop().call_later(self._seconds, self._known.pop, fingerprint, None)
