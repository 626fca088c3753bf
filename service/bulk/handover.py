"""A hand-over folder: which files are complete, who gets which, and what becomes of originals.

Pick-up is a rename into a folder of the watcher's own, on the same file system: of several watchers exactly one gets a
file. A watcher holds a lock on its folder for as long as it lives; what a dead one left there, the next one takes.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.app.failure import StartError
from service.bulk.selection import Selection
from service.bulk.stores import Folder

STATE = ".veil"


class Settling:
    """Files of a folder that have not changed for `seconds`, by size and time, from one look to a later one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[str, tuple[tuple[int, str], float]] = {}

    def look(self, folder: Folder, selection: Selection, now: float) -> list[str]:
        """Paths that are complete now, the longest settled first."""
        seen = {}
        for entry in folder.walk():
            if selection.takes(entry.path):
                state = (entry.size, entry.stamp)
                before = self._seen.get(entry.path)
                seen[entry.path] = before if before is not None and before[0] == state else (state, now)
        self._seen = seen
        ready = [(since, path) for path, ((size, _), since) in seen.items() if size and now - since >= self._seconds]
        return [path for _, path in sorted(ready)]


class Claims:
    """The files that this watcher has picked up of `root`."""

    def __init__(self, root: Path, own: Path) -> None:
        self._root = root
        self.folder = own

    def claim(self, path: str) -> Path | None:
        """Where the file is now, or None if another watcher was faster."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            (self._root / path).rename(target)
        except FileNotFoundError:
            return None
        return target

    def left(self) -> list[str]:
        """What this watcher holds."""
        return [file.relative_to(self.folder).as_posix() for file in sorted(self.folder.rglob("*")) if file.is_file()]


@contextmanager
def claims(root: Path) -> Iterator[Claims]:
    """A place for this watcher's files, with what dead watchers left. Raises StartError if nothing can be renamed."""
    places = root / STATE / "claimed"
    try:
        places.mkdir(parents=True, exist_ok=True)
        own = places / f"{int(time.time()):x}-{secrets.token_hex(4)}"
        own.mkdir()
        lock = _locked(own)
    except OSError as error:
        raise StartError(f"{root} must be writable: files are picked up by a rename ({error.strerror}).") from error
    assert lock is not None
    try:
        mine = Claims(root, own)
        for other in sorted(places.iterdir()):
            if other.is_dir() and other != own:
                _take_over(other, mine)
        yield mine
    finally:
        for name in mine.left():
            _give_back(root, own / name, name)
        _remove_empty(own)
        os.close(lock)
        lock_file(own).unlink(missing_ok=True)


def lock_file(place: Path) -> Path:
    return place.with_name(place.name + ".lock")


def _locked(place: Path) -> int | None:
    """A lock that ends with this process; None if another one lives."""
    handle = os.open(lock_file(place), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _take_over(other: Path, mine: Claims) -> None:
    handle = _locked(other)
    if handle is None:
        return
    try:
        for name in Claims(other, other).left():
            target = mine.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (other / name).rename(target)
        _remove_empty(other)
    finally:
        os.close(handle)
        lock_file(other).unlink(missing_ok=True)


def _give_back(root: Path, file: Path, name: str) -> None:
    """What was picked up and not finished goes back, unless a newer file has taken its place: then it stays claimed."""
    if not (root / name).exists():
        file.rename(root / name)


def _remove_empty(folder: Path) -> None:
    for each in sorted((f for f in folder.rglob("*") if f.is_dir()), reverse=True):
        _rmdir(each)
    _rmdir(folder)


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
