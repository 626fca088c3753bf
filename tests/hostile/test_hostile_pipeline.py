"""Files made to break the pipeline, straight into it: each ends in a correct picture or is refused, within bounds."""

import json
import subprocess
import sys

from tests.service_process import ROOT

ROUNDS = 40
MOST_MIB = 400
"""Peak memory of the process; after its imports it has about 150."""


def test_crafted_and_mutated_files_end_in_a_picture_or_a_refusal() -> None:
    command = [sys.executable, "-m", "tests.hostile.pipeline", str(ROUNDS), "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"ended with {done.returncode} at {lines[-1:]}: {done.stderr[-3000:]}"
    said = [json.loads(line) for line in lines if line.startswith("{")]
    assert [each for each in said if "wrong" in each] == []
    summary = said[-1]
    assert summary["pictures"] > 100
    assert summary["refused"] > 100
    assert summary["peak_mib"] < MOST_MIB
