"""`make bench`: measures, prints a table, writes `benchmarks/results/<what>.json`.

`python -m benchmarks [--quick] [--pictures FOLDER] [--only foundation|speed] [--size MEGAPIXELS]…`
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from benchmarks import foundation, panoramas, speed

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes, few repeats")
    parser.add_argument("--pictures", type=Path, help="folder of photographs that the large pictures are made of")
    parser.add_argument("--only", choices=("foundation", "speed"))
    sizes = [name.split(" ")[0] for name in panoramas.SIZES]
    parser.add_argument("--size", action="append", choices=sizes, help="megapixels; all by default; may be repeated")
    arguments = parser.parse_args()
    if speed.PAGES.items() - os.environ.items() and arguments.only != "foundation":
        # Large pages are asked of the C library before a program starts, and all peers shall have them alike.
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]], {**os.environ, **speed.PAGES})
    if arguments.only != "speed":
        figures = foundation.measure()
        for name, figure in figures.items():
            show(name, figure)
        write("foundation", figures)
    if arguments.only != "foundation":
        chosen = arguments.size or (sizes[:2] if arguments.quick else sizes)
        figures = speed.measure(show, sizes=chosen, quick=arguments.quick, pictures=arguments.pictures)
        write("-".join(("speed", *(arguments.size or ()))), figures)


def show(name: str, figure: Any, depth: int = 0) -> None:
    """One line for each number."""
    head = f"{'  ' * depth}{name}"
    if isinstance(figure, tuple):
        value, limit = figure
        print(f"{head:44s} {value:9.2f}   limit {limit:g}   {'ok' if value <= limit else 'OVER'}")
    elif isinstance(figure, dict) and all(isinstance(each, float) for each in figure.values()):
        print(f"{head:44s} " + ", ".join(f"{key} {each:.4g}" for key, each in figure.items()))
    elif isinstance(figure, dict):
        print(head)
        for key, each in figure.items():
            show(key, each, depth + 1)
    else:
        print(f"{head:44s} {figure:9.3f}")
    sys.stdout.flush()


def write(what: str, figures: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    machine = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    path = RESULTS / f"{what}.json"
    path.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else f"written to {path}")


if __name__ == "__main__":
    main()
