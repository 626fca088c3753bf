"""A service at its admission limit for a long time: `python -m benchmarks.soak [--minutes 30] [--distributed]`.

More clients than there are places send a mix of sizes and formats. After a warm-up of a fifth of the time, memory,
descriptors and threads must stay; every answer must be a picture with its faces hidden or a 429; and the receipts of
the pictures must be exactly those that are stored. Exit status 1 if not. `--distributed`: with Triton and PostgreSQL.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.load import Load, mix, stored
from tests.service_process import ServiceProcess

RESULTS = Path(__file__).parent / "results" / "soak.json"
MIB = 1024 * 1024
WORKERS, QUEUE, EXTRA = 2, 6, 2
EVERY = 2.0
MOST_GROWTH = 0.05
"""Of resident memory, between the first and the last quarter after the warm-up."""

MOST_SLOPE = 60.0
"""MiB an hour, of a line through all samples after the warm-up: 30 MiB in half an hour."""

REF = "soak"


@dataclass(frozen=True)
class Sample:
    at: float
    rss: int
    files: int
    threads: int


@contextmanager
def service(distributed: bool) -> Iterator[ServiceProcess]:
    """The service under test, with the parts it needs."""
    environ = {"VEIL_ADMISSION__WORKERS": str(WORKERS), "VEIL_ADMISSION__QUEUE": str(QUEUE)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if distributed:
            from service.models.catalog import Catalog
            from service.models.export import export_repository
            from tests.postgres.server import PostgresProcess
            from tests.triton.server import ROOT, TritonProcess

            repository = folder / "models"
            export_repository(Catalog.read(ROOT / "model_repository"), repository, "python")
            triton = stack.enter_context(TritonProcess(folder / "triton", repository=repository))
            postgres = stack.enter_context(PostgresProcess())
            environ |= {
                "VEIL_DETECTION__ENGINE": "triton",
                "VEIL_DETECTION__TRITON_URL": triton.url,
                "VEIL_DATABASE__URL": postgres.create_database(REF),
            }
        yield stack.enter_context(ServiceProcess(folder, environ))


def soak(minutes: float, distributed: bool) -> tuple[dict[str, object], list[str]]:
    """The figures, and what is wrong."""
    samples: list[Sample] = []
    pictures = mix()
    with service(distributed) as process:
        usage = process.usage
        started = time.monotonic()
        load = Load(lambda: process.url, pictures, WORKERS + QUEUE + EXTRA, source_ref=REF, timeout=120)
        with load:
            while (now := time.monotonic() - started) < minutes * 60:
                samples.append(Sample(now, usage.memory_info().rss, usage.num_fds(), usage.num_threads()))
                time.sleep(EVERY)
        ready = httpx.get(f"{process.url}/readyz", timeout=30).status_code == httpx.codes.OK
        ids = {each for each, outcome in stored(process.url, source_ref=REF).items() if outcome == "ok"}
    warm = [each for each in samples if each.at > minutes * 60 / 5]
    figures, wrong = judged(warm)
    statuses = load.statuses()
    released = load.receipts()
    figures |= {"minutes": minutes, "distributed": distributed, "answers": dict(statuses), "receipts": len(ids)}
    figures["pictures_per_second"] = round(len(released) / (minutes * 60), 2)
    unexpected = {each: count for each, count in statuses.items() if each not in ("200", "429 overloaded")}
    wrong += [f"answers that were not asked for: {unexpected}"] if unexpected else []
    wrong += ["a face is not hidden"] if not all(each.hidden for each in load.answers) else []
    wrong += [f"{len(released)} answers, {len(ids)} receipts"] if sorted(released) != sorted(ids) else []
    wrong += [] if ready else ["not ready at the end"]
    return {**figures, "samples": [asdict(each) for each in samples[:: max(1, len(samples) // 200)]]}, wrong


def judged(warm: list[Sample]) -> tuple[dict[str, object], list[str]]:
    """What memory, descriptors and threads did after the warm-up, and what of that is wrong."""
    quarter = max(1, len(warm) // 4)
    first, last = warm[:quarter], warm[-quarter:]
    slope = float(np.polyfit([s.at / 3600 for s in warm], [s.rss / MIB for s in warm], 1)[0])
    before, after = (float(np.mean([s.rss for s in part])) / MIB for part in (first, last))
    figures: dict[str, object] = {
        "rss_first_mib": round(before, 1),
        "rss_last_mib": round(after, 1),
        "rss_most_mib": round(max(s.rss for s in warm) / MIB, 1),
        "rss_slope_mib_per_hour": round(slope, 1),
    }
    wrong = []
    if after > before * (1 + MOST_GROWTH) and slope > MOST_SLOPE:
        wrong.append(f"memory grows: {before:.0f} to {after:.0f} MiB, {slope:.0f} MiB an hour")
    for name in ("files", "threads"):
        early, late = (max(getattr(s, name) for s in part) for part in (first, last))
        figures[f"{name}_first"], figures[f"{name}_last"] = early, late
        if late > early + 2:
            wrong.append(f"{name} grow: {early} to {late}")
    return figures, wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--distributed", action="store_true")
    given = parser.parse_args()
    figures, wrong = soak(given.minutes, given.distributed)
    for name, figure in figures.items():
        if name != "samples":
            print(f"{name:26s} {figure}")
    for each in wrong:
        print(f"WRONG: {each}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"figures": figures, "wrong": wrong}, indent=2) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
