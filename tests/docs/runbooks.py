"""A page's shell blocks as one script, to be run as an operator would."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tests.postgres.server import PostgresProcess

ROOT = Path(__file__).resolve().parents[2]


def script(page: str) -> str:
    """Every ```sh block of a page below docs/how-to, in order, also those inside lists."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^([ ]*)```sh\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    return "\n".join(textwrap.dedent(block) for _, block in blocks)


def follow(page: str, server: PostgresProcess, environ: Mapping[str, str], since: str = "") -> str:
    """Runs the page, from the command that begins with `since` on, in the project's folder; gives what was printed.

    A command that fails ends it.
    """
    commands = script(page)
    commands = commands[commands.index(since) :]
    tools = f"{server._programs}:{Path(sys.executable).parent}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=ROOT,
        env={
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(server.folder),
            "LC_ALL": "C.UTF-8",
            "VEIL_MODELS__REPOSITORY": str(ROOT / "model_repository"),
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
