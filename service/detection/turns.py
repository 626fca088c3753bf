"""A pool of threads that takes turns between pictures: a small one is not held up by the tiles of a large one."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")

_PICTURE: ContextVar[object] = ContextVar("picture", default=None)


@contextmanager
def turn_of(picture: object) -> Iterator[None]:
    """What is submitted inside, also by tasks that begin inside, waits in a queue of its own, that of `picture`."""
    token = _PICTURE.set(picture)
    try:
        yield
    finally:
        _PICTURE.reset(token)


class TurnPool(Executor):
    """`threads` threads; each takes the first waiting piece of work of the picture whose turn it is."""

    def __init__(self, threads: int, name: str = "turns") -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._queues: OrderedDict[int, deque[tuple[Future[Any], Callable[[], Any]]]] = OrderedDict()
        self._lock = Lock()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As `Executor.submit`; raises RuntimeError once the pool is shut down."""
        future: Future[T] = Future()
        with self._lock:
            self._queues.setdefault(id(_PICTURE.get()), deque()).append((future, partial(fn, *args, **kwargs)))
        try:
            # One call for each piece of work, whichever it will be by then.
            self._threads.submit(self._work)
        except RuntimeError:
            future.cancel()
            raise
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            with self._lock:
                left = [future for queue in self._queues.values() for future, _ in queue]
                self._queues.clear()
            for future in left:
                future.cancel()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._lock:
            if not self._queues:
                return None
            picture, queue = self._queues.popitem(last=False)
            item = queue.popleft()
            if queue:
                self._queues[picture] = queue  # behind all others
            return item

    def _work(self) -> None:
        item = self._next()
        if item is None or not item[0].set_running_or_notify_cancel():
            return
        future, work = item
        try:
            result = work()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
