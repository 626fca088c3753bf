"""Fuzzes each target in a process of its own: `python -m benchmarks.fuzz [--minutes 30] [--target NAME …]`.

The time is shared out among the targets; one that found something goes on with the rest of its time. Findings and the
corpus are in .cache/fuzz-runs; exit status 1 if there are any findings. Needs atheris: `make fuzz` installs it.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.fuzz.seeds import LARGEST, corpus

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / ".cache" / "fuzz-runs"
ATHERIS = ROOT / ".cache" / "fuzz"
RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
TARGETS = ("source", "metadata", "jpeg", "picture")

SECONDS_OF_ONE = 20
"""An input that takes longer counts as a hang. None needs a tenth of it on an idle machine."""

MIB_OF_ONE = 1536
"""Resident memory of the whole process, libFuzzer's own included."""

MOST_FINDINGS = 20


@dataclass
class Result:
    """What came of one target: inputs tried, code reached (edges), peak memory, files that broke it."""

    seconds: float = 0.0
    executions: int = 0
    coverage: int = 0
    peak_mib: int = 0
    findings: list[str] = field(default_factory=list)


def fuzz(target: str, seconds: float) -> Result:
    """Runs `target` for `seconds`, again after each finding."""
    folder = RUNS / target
    shutil.rmtree(folder, ignore_errors=True)
    found, inputs = folder / "findings", folder / "corpus"
    found.mkdir(parents=True)
    inputs.mkdir()
    for number, (_, data) in enumerate(corpus(target)):
        (inputs / f"seed-{number:03d}").write_bytes(data)
    result = Result()
    started = time.monotonic()
    while (left := seconds - (time.monotonic() - started)) > 1 and len(result.findings) < MOST_FINDINGS:
        said = _run(target, inputs, found, left)
        _count(said, result)
        (folder / f"log-{len(result.findings)}.txt").write_text(said[-20_000:], encoding="utf-8")
        result.findings = sorted(str(each.relative_to(ROOT)) for each in found.iterdir())
    result.seconds = round(time.monotonic() - started, 1)
    return result


def _run(target: str, inputs: Path, found: Path, seconds: float) -> str:
    """What libFuzzer said."""
    command = [
        *(sys.executable, "-m", "benchmarks.fuzz.worker", target, str(inputs)),
        f"-max_total_time={max(1, int(seconds))}",
        f"-timeout={SECONDS_OF_ONE}",
        f"-rss_limit_mb={MIB_OF_ONE}",
        f"-max_len={LARGEST}",
        f"-artifact_prefix={found}/",
        *("-reduce_inputs=1", "-print_final_stats=1", "-use_value_profile=0", "-verbosity=1"),
    ]
    environ = {**os.environ, "PYTHONPATH": f"{ATHERIS}:{ROOT}"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def _count(said: str, result: Result) -> None:
    def last(pattern: str) -> int:
        numbers = re.findall(pattern, said)
        return int(numbers[-1]) if numbers else 0

    result.executions += last(r"stat::number_of_executed_units: +(\d+)") or last(r"^#(\d+)\t") or 0
    result.coverage = max(result.coverage, last(r"cov: (\d+)"))
    result.peak_mib = max(result.peak_mib, last(r"stat::peak_rss_mb: +(\d+)") or last(r"rss: (\d+)Mb"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--target", action="append", choices=TARGETS)
    given = parser.parse_args()
    targets = given.target or list(TARGETS)
    results: dict[str, Result] = {}
    for target in targets:
        results[target] = result = fuzz(target, given.minutes * 60 / len(targets))
        print(
            f"{target:10s} {result.seconds:7.0f} s  {result.executions:9d} inputs  coverage {result.coverage:5d}  "
            f"peak {result.peak_mib:5d} MiB  {len(result.findings)} findings",
            flush=True,
        )
        for each in result.findings:
            print(f"           {each}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    document = {name: asdict(result) for name, result in results.items()}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 1 if any(result.findings for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
