"""Where pictures come from and go to: folders on any file system, and S3-compatible or other remote stores (fsspec).

A result is staged first and published then. In a folder that is a file under a temporary name, flushed to the disk, and
a rename on the same file system: a reader never sees half a picture. A remote store shows an object when all of it is
there.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from service.app.failure import StartError

PART = ".part"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a store. `path`: relative, with `/`. `stamp`: changes when the file does (mtime, ETag)."""

    path: str
    size: int
    stamp: str


class Staged(Protocol):
    """A result that is not to be seen yet. `name`: where it waits for any process, None if only in memory."""

    @property
    def name(self) -> str | None: ...

    def publish(self) -> None: ...


class Store(Protocol):
    """A tree of files. All calls block, and raise OSError if the store does."""

    def walk(self) -> Iterator[Entry]: ...

    def read(self, path: str, limit: int) -> bytes | None:
        """The file's bytes, or None if there are more than `limit`."""

    def size(self, path: str) -> int | None:
        """Bytes of the file, None if there is none."""

    def stage(self, path: str, data: bytes, *, apart: bool = False) -> Staged:
        """`data` ready to become the file at `path`; `apart`: where another process can publish it."""

    def staged(self, path: str, name: str, sha256: str | None) -> Staged | None:
        """What was staged under `name`, perhaps by another process, if it is there and has that digest (None: any)."""

    def sweep(self, path: str) -> None:
        """Removes what interrupted runs left staged for `path` and never recorded."""

    def sweep_all(self) -> None:
        """Removes everything that is staged."""


def open_store(address: str) -> Store:
    """A folder, or `protocol://…` for whatever fsspec knows. Raises StartError if its driver is not installed."""
    if "://" not in address:
        return Folder(Path(address))
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise StartError(f"{address.partition('://')[0]}:// cannot be opened: {error}") from error
    return Remote(system, root)


class Folder:
    """A folder on a disk or a network share. Hidden files and folders are not walked, links to folders not followed."""

    def __init__(self, root: Path, *, leave_out: Path | None = None) -> None:
        self.root = root
        self._leave_out = None if leave_out is None else leave_out.resolve()

    def walk(self) -> Iterator[Entry]:
        for folder, folders, files in os.walk(self.root, onerror=_raise):
            here = Path(folder)
            folders[:] = sorted(f for f in folders if f[0] != "." and (here / f).resolve() != self._leave_out)
            for name in sorted(files):
                if name[0] != ".":
                    yield self.entry((here / name).relative_to(self.root).as_posix())

    def entry(self, path: str) -> Entry:
        found = (self.root / path).stat()
        return Entry(path, found.st_size, str(found.st_mtime_ns))

    def read(self, path: str, limit: int) -> bytes | None:
        with (self.root / path).open("rb") as file:
            if os.fstat(file.fileno()).st_size > limit:
                return None
            data = file.read()
        return data if len(data) <= limit else None

    def size(self, path: str) -> int | None:
        try:
            return (self.root / path).stat().st_size
        except FileNotFoundError:
            return None

    def stage(self, path: str, data: bytes, *, apart: bool = False) -> "StagedFile":  # noqa: ARG002 - always is
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = StagedFile(target, target.with_name(f".{target.name}.{os.urandom(4).hex()}{PART}"))
        try:
            with staged.file.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            staged.file.unlink(missing_ok=True)
            raise
        return staged

    def staged(self, path: str, name: str, sha256: str | None) -> "StagedFile | None":
        target = self.root / path
        staged = StagedFile(target, target.with_name(PurePosixPath(name).name))
        try:
            whole = sha256 is None or hashlib.sha256(staged.file.read_bytes()).hexdigest() == sha256
        except FileNotFoundError:
            return None
        if whole:
            return staged
        staged.file.unlink()
        return None

    def sweep(self, path: str) -> None:
        target = self.root / path
        for file in target.parent.glob(f".{_literal(target.name)}.????????{PART}"):
            file.unlink(missing_ok=True)

    def sweep_all(self) -> None:
        for file in self.root.rglob(f".*.????????{PART}"):
            file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class StagedFile:
    target: Path
    file: Path

    @property
    def name(self) -> str | None:
        return self.file.name

    def publish(self) -> None:
        """Takes its name; the folder is flushed, so that the name outlasts a power cut, too."""
        self.file.replace(self.target)
        folder = os.open(self.target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Remote:
    """A store that fsspec knows, e.g. `s3://bucket/prefix`; credentials come from its own environment variables."""

    def __init__(self, system: Any, root: str) -> None:
        self._system = system
        self._root = root.rstrip("/")

    def walk(self) -> Iterator[Entry]:
        for name, facts in sorted(self._system.find(self._root, detail=True).items()):
            path = name[len(self._root) :].lstrip("/")
            if path and not any(part.startswith(".") for part in path.split("/")):
                stamp = facts.get("ETag") or facts.get("etag") or facts.get("mtime") or facts.get("LastModified") or ""
                yield Entry(path, int(facts["size"] or 0), str(stamp))

    def read(self, path: str, limit: int) -> bytes | None:
        size = self.size(path)
        if size is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if size > limit:
            return None
        data: bytes = self._system.cat_file(f"{self._root}/{path}")
        return data

    def size(self, path: str) -> int | None:
        self._system.invalidate_cache()
        try:
            return int(self._system.info(f"{self._root}/{path}")["size"])
        except FileNotFoundError:
            return None

    def stage(self, path: str, data: bytes, *, apart: bool = False) -> "StagedObject | StagedAside":
        if not apart:
            return StagedObject(self._system, f"{self._root}/{path}", data)
        name = PurePosixPath(path).name
        staged = StagedAside(self._system, f"{self._root}/{path}", f".{name}.{os.urandom(4).hex()}{PART}")
        self._system.pipe_file(staged.waits, data)
        return staged

    def staged(self, path: str, name: str, sha256: str | None) -> "StagedAside | None":
        staged = StagedAside(self._system, f"{self._root}/{path}", PurePosixPath(name).name)
        self._system.invalidate_cache()
        try:
            whole = sha256 is None or hashlib.sha256(self._system.cat_file(staged.waits)).hexdigest() == sha256
        except FileNotFoundError:
            return None
        return staged if whole else None

    def sweep(self, path: str) -> None:
        """An upload that was cut off left nothing; what waits aside, `sweep_all` finds."""

    def sweep_all(self) -> None:
        self._system.invalidate_cache()
        for name in self._system.find(self._root):
            last = name.rpartition("/")[2]
            if last.startswith(".") and last.endswith(PART):
                self._system.rm_file(name)


@dataclass(frozen=True, slots=True)
class StagedObject:
    system: Any
    path: str
    data: bytes

    @property
    def name(self) -> str | None:
        return None

    def publish(self) -> None:
        self.system.pipe_file(self.path, self.data)


@dataclass(frozen=True, slots=True)
class StagedAside:
    """An object under a hidden name beside its place; the store copies it there."""

    system: Any
    path: str
    name: str | None

    @property
    def waits(self) -> str:
        return f"{self.path.rpartition('/')[0]}/{self.name}"

    def publish(self) -> None:
        self.system.mv(self.waits, self.path)


def _raise(error: OSError) -> None:
    raise error


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
