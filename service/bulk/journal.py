"""What a run has done so far, line by line (NDJSON), so that an interrupted run goes on where it stopped.

A line is on the disk before its result gets its name: after any interruption, a result either has no line and is made
again, or has one and is found whole under its final or its temporary name.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from service.app.failure import StartError
from service.bulk.stores import Entry

VERSION = 1


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one picture: `problem` is empty if it was anonymized."""

    path: str
    size: int
    stamp: str
    target: str
    problem: str = ""
    detail: str = ""
    receipt: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    staged: str | None = None
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def made(self) -> bool:
        return not self.problem

    def of(self, entry: Entry) -> bool:
        """Whether this line is about the file as it is now."""
        return (self.path, self.size, self.stamp) == (entry.path, entry.size, entry.stamp)


class Journal:
    """The journal in `file`. `facts`: what must be equal for a run to go on with an older one's results."""

    def __init__(self, file: Path, facts: dict[str, Any]) -> None:
        self._file = file
        self._facts = facts
        self._open: BinaryIO | None = None

    def exists(self) -> bool:
        return self._file.exists()

    def begin(self) -> dict[str, Line]:
        """A journal of a new run, and no line. Raises StartError if there is one already."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open = self._file.open("xb", buffering=0)
        except FileExistsError:
            raise StartError(
                f"{self._file} tells of an earlier run into this output.\n"
                "Go on with it by --resume, or remove that file to start over."
            ) from None
        self._lock()
        self._write({"veil_run": VERSION, **self._facts})
        return {}

    def resume(self) -> dict[str, Line]:
        """The last line of each picture by its path. Raises StartError if the run was one with other settings."""
        if not self.exists():
            return self.begin()
        self._open = self._file.open("r+b", buffering=0)
        self._lock()
        known: dict[str, Line] = {}
        documents, end = self._read()
        header = next(documents, None)
        if header is None or header.pop("veil_run", None) != VERSION:
            raise StartError(f"{self._file} is no journal of this version; remove it to start over.")
        changed = sorted(name for name in {**header, **self._facts} if header.get(name) != self._facts.get(name))
        if changed:
            raise StartError(
                f"The earlier run had another {', '.join(changed)}: its results would not fit those of this one.\n"
                f"Give the same options, or another output, or remove {self._file} to start over."
            )
        for document in documents:
            line = Line(**document)
            known[line.path] = line
        self._open.truncate(end)  # a line that an interruption cut off
        self._open.seek(end)
        return known

    def add(self, line: Line) -> None:
        """Returns when `line` is on the disk."""
        self._write({name: value for name, value in asdict(line).items() if value not in ("", None, {})})

    def lines(self) -> Iterator[Line]:
        """The last line of each picture, in the order of their paths."""
        documents, _ = self._read()
        last = {document["path"]: document for document in documents if "path" in document}
        for path in sorted(last):
            yield Line(**last[path])

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _lock(self) -> None:
        """Held until the journal is closed or the process ends, however it does."""
        assert self._open is not None
        try:
            fcntl.flock(self._open, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"Another run works on this output right now: it holds {self._file}.") from None

    def _write(self, document: dict[str, Any]) -> None:
        assert self._open is not None
        self._open.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")
        os.fsync(self._open.fileno())

    def _read(self) -> tuple[Iterator[dict[str, Any]], int]:
        """Every whole line, and where they end."""
        text = self._file.read_bytes()
        end = text.rfind(b"\n") + 1
        return (json.loads(line) for line in text[:end].splitlines()), end
