"""A picture while it is decoded: its rows come in from the top, and whoever needs only some of them need not wait."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Lock

from service.imaging.heap import give_back
from service.imaging.raster import Raster
from service.imaging.views import View

ABOUT = 0.02

AS_STORED = (1, 2)
"""Orientations whose upper rows are the file's first ones."""


class Stopped(Exception):
    """Decoding was given up, since nobody wants the picture anymore."""


class Arrival:
    """`raster` while `strips` fills it: each item says how many rows are there now; None if all are.

    One thread calls `decode`; any may ask `reached`. What is below the rows that were reached must not be looked at.
    """

    def __init__(self, raster: Raster, strips: Iterator[int] | None = None) -> None:
        self._raster: Raster | None = raster
        self._strips = strips
        self._height = raster.pixels.shape[0]
        self._nbytes = raster.pixels.nbytes if strips else 0
        self._rows = 0 if strips else self._height
        self._waiting: list[tuple[int, Future[None]]] = []
        self._error: BaseException | None = None
        self._stop = False
        self._lock = Lock()

    @property
    def raster(self) -> Raster:
        """The raster, of which only what was reached is there. Raises ValueError once it was taken."""
        if self._raster is None:
            raise ValueError("the raster was taken")
        return self._raster

    def take(self) -> Raster:
        """The raster, which is forgotten here: a picture's worth of memory is free as soon as the caller is done."""
        raster, self._raster = self.raster, None
        return raster

    def decode(self) -> None:
        """Decodes what is not there yet, and tells everybody. Raises what the decoder raises, Stopped after `stop`."""
        try:
            for rows in self._strips or ():
                self._tell(rows)
            self._tell(self._height)
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self._strips = None  # the decoder's own memory
            give_back(self._nbytes)

    def stop(self) -> None:
        """Ends a `decode` that runs on another thread, at its next strip."""
        self._stop = True

    def reached(self, rows: int) -> Future[None]:
        """Done once the first `rows` stored rows are there, or failed as decoding failed."""
        future: Future[None] = Future()
        with self._lock:
            if self._error is not None:
                future.set_exception(self._error)
            elif rows <= self._rows:
                future.set_result(None)
            else:
                self._waiting.append((rows, future))
        return future

    def _tell(self, rows: int) -> None:
        if self._stop:
            raise Stopped
        with self._lock:
            self._rows = rows
            done = [future for needed, future in self._waiting if needed <= rows]
            self._waiting = [each for each in self._waiting if each[0] > rows]
        _settle(done, lambda future: future.set_result(None))

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = error
            left, self._waiting = [future for _, future in self._waiting], []
        _settle(left, lambda future: future.set_exception(error))


def _settle(futures: list[Future[None]], end: Callable[[Future[None]], None]) -> None:
    """Outside of the lock, since whoever waits may ask again at once; who gave up waiting is left alone."""
    for future in futures:
        if future.set_running_or_notify_cancel():
            end(future)


def rows_needed(view: object, raster: Raster) -> int:
    """Stored rows that must be there before `view` of `raster` can be cut.

    All of them, unless it is a window at full resolution, turned as the file is: halved levels are made whole.
    """
    if not isinstance(view, View) or view.level != 0 or raster.orientation not in AS_STORED:
        return int(raster.pixels.shape[0])
    return min(view.y + view.height, raster.height)


def rows_to_plan(raster: Raster) -> int:
    """Stored rows that must be there before it can be said what `raster` shows.

    All of a picture that may be a panorama though nothing but its look says so: about 2:1, without GPano.
    """
    doubtful = raster.gpano is None and abs(raster.width / (2 * raster.height) - 1) < ABOUT
    return int(raster.pixels.shape[0]) if doubtful else 0
