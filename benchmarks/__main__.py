"""`make bench`: measures, prints a table, writes `benchmarks/results/<what>.json`."""

import json
import os
import platform
from pathlib import Path

from benchmarks.foundation import measure

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    figures = measure()
    for name, figure in figures.items():
        if isinstance(figure, tuple):
            value, limit = figure
            print(f"{name:36s} {value:9.2f}   limit {limit:g}   {'ok' if value <= limit else 'OVER'}")
        elif isinstance(figure, dict):
            print(f"{name:36s} " + ", ".join(f"{stage} {ms:.0f}" for stage, ms in figure.items()))
        else:
            print(f"{name:36s} {figure:9.3f}")
    RESULTS.mkdir(exist_ok=True)
    machine = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    path = RESULTS / "foundation.json"
    path.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else f"written to {path}")


if __name__ == "__main__":
    main()
