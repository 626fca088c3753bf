"""Pixel work beside the event loop: on the bounded pool, timed as a stage of the receipt."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from service.records.draft import Draft

T = TypeVar("T")


class OnCpu:
    """Runs the stages of pictures on `pool`, which its owner closes."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    async def __call__(self, draft: Draft, stage: str, work: Callable[..., T], *args: Any) -> T:
        """`work(*args)` on the pool, timed as `stage` of `draft`, waiting for a free worker included."""
        with draft.stage(stage):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
