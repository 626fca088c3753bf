"""Trees of small pictures, and `veil` as a process that works on them."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.e2e.setups import encoded, portrait
from tests.service_process import ROOT, ServiceProcess, _die_with_parent

OPTIONS = ("-s", "effort=fast")

STARTED: list[subprocess.Popen[str]] = []
"""Processes of the current test, ended after it."""


def small(shift: int) -> bytes:
    """A JPEG of 160 × 160 with one face, another for each `shift`."""
    pixels = np.ascontiguousarray(portrait()[20 : 20 + 160, 140 + shift % 40 : 140 + shift % 40 + 160])
    pixels[:4, :4] = shift
    return encoded(pixels, "JPEG")


def plant(folder: Path, count: int) -> list[str]:
    """`count` pictures in folders below `folder`, by their paths."""
    paths = [f"day{i % 3}/street {i:03}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(small(i))
    return sorted(paths)


def content(folder: Path) -> dict[str, bytes]:
    """Every file that is not hidden."""
    paths = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
    return {
        str(path): file.read_bytes()
        for path, file in paths.items()
        if not any(part.startswith(".") for part in path.parts)
    }


def environ(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a service process that keeps its records in `folder`; its noise is the same at every start."""
    return {**ServiceProcess(folder).environ, "VEIL_OBSCURING__SECRET": "a secret for tests", **more}


def veil(env: dict[str, str], *arguments: str | Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "service", *map(str, arguments)],
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call, no Python state
    )
    STARTED.append(process)
    return process


def finished(process: subprocess.Popen[str], timeout: float = 90) -> tuple[int, str]:
    output, _ = process.communicate(timeout=timeout)
    return process.returncode, output
