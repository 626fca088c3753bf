"""`veil inspect`: what files are made of, for people and for scripts. Names, places and sizes, never values."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.errors import VeilError
from service.imaging.anatomy.dissect import Anatomy, dissect
from service.imaging.anatomy.parts import Fate, Part

STYLES = {Fate.PICTURE: "dim", Fate.NEVER: "bold red"}
Result = tuple[Path, Anatomy | VeilError]


def inspect_files(files: Iterable[Path]) -> Iterator[Result]:
    """Each file with its anatomy, or with why it has none. Raises OSError if it cannot be read."""
    for path in files:
        try:
            yield path, dissect(path.read_bytes())
        except VeilError as error:
            yield path, error


def clean(result: Anatomy | VeilError) -> bool:
    """Whether there is nothing that Veil would never write."""
    return isinstance(result, Anatomy) and not result.suspicious


def show(console: Console, path: Path, result: Anatomy | VeilError) -> None:
    """One table for one file."""
    if isinstance(result, VeilError):
        console.print(f"{path}: {result.detail}" + (f" ({result.cause})" if result.cause else ""), markup=False)
        return
    table = Table("offset", "size", "part", "what it is", "kept by", title=str(path), title_justify="left")
    for column in table.columns[:2]:
        column.justify = "right"
    for each in result.parts:
        what = "; ".join(filter(None, (each.what, *(f"looks like {kind}" for kind in each.embedded))))
        size = str(each.size) if each.size else ""
        style = "bold red" if each.suspicious else STYLES.get(each.fate, "")
        table.add_row(str(each.at), size, Text("  " * each.depth + each.name), Text(what), each.fate, style=style)
    console.print(table)
    suspicious = [each for each in result.parts if each.suspicious]
    said = f"{len(suspicious)} parts that Veil would never write" if suspicious else "nothing that Veil would not write"
    console.print(f"{result.format.label}: {said}", markup=False)


def document(results: Iterable[Result]) -> str:
    """All files as JSON."""
    return json.dumps([_file(path, result) for path, result in results], indent=2, ensure_ascii=False)


def _file(path: Path, result: Anatomy | VeilError) -> dict[str, Any]:
    if isinstance(result, VeilError):
        return {"file": str(path), "error": result.slug, "detail": result.detail, "cause": result.cause}
    parts = [_part(each) for each in result.parts]
    return {"file": str(path), "format": result.format, "clean": not result.suspicious, "parts": parts}


def _part(each: Part) -> dict[str, Any]:
    return asdict(each) | {"embedded": list(each.embedded), "suspicious": each.suspicious}
