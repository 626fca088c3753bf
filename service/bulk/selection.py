"""Which files of a tree are pictures to work on, and where their results go."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from service.bulk.stores import Entry
from service.policy import OutputFormat

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .avif .heic .heif .jp2 .j2k .jpf".split()  # noqa: SIM905
)
"""Names of pictures; what a file really is, its bytes tell."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Patterns are matched against the path below the input; `*` matches any characters, `/` included.

    Without `include`, files with a picture's suffix are taken. `exclude` goes before `include`.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        if any(fnmatchcase(path, pattern) for pattern in self.exclude):
            return False
        if self.include:
            return any(fnmatchcase(path, pattern) for pattern in self.include)
        return PurePosixPath(path).suffix.lower() in SUFFIXES


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a run: where it is, and the path of its result in the output."""

    source: Entry
    target: str


def plan(entries: Iterable[Entry], to: OutputFormat) -> Iterator[Item]:
    """Each entry with its result's path: the same, but for the suffix if the format changes."""
    for entry in entries:
        path = PurePosixPath(entry.path)
        yield Item(entry, str(path if to is OutputFormat.SAME else path.with_suffix(f".{to.value}")))
