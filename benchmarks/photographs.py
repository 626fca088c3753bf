"""Whole requests for real photographs as they are, and `deface` for the same ones, by turns.

The pictures of the other benches are made of few photographs and are fuller of faces than any street. What a picture
costs depends on what it shows.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks import deface, requests
from benchmarks.foundation import post
from benchmarks.speed import LARGEST_FOR_DEFACE, PAGES, PATIENT
from service.imaging.source import SourceLimits, inspect
from tests.service_process import ServiceProcess

ROUNDS = 3


def megapixels(body: bytes) -> float:
    source = inspect(body, SourceLimits(200_000_000, 65_500))
    return source.stored_width * source.stored_height / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pictures", type=Path, nargs="+", help="JPEG files")
    arguments = parser.parse_args()
    command = deface.install()
    if command is None:
        raise SystemExit("there is nothing to compare with")
    total = dict.fromkeys(("megapixels", "Veil wall", "Veil processor", "deface wall", "deface processor"), 0.0)
    with tempfile.TemporaryDirectory() as folder, ServiceProcess(Path(folder), {**PAGES, **PATIENT}) as service:
        for path in arguments.pictures:
            body = path.read_bytes()
            size = megapixels(body)
            if size > LARGEST_FOR_DEFACE:
                continue
            found = post(service, body).headers["Veil-Detections"]
            rounds = []
            for _ in range(ROUNDS):
                own = requests.one(service, body, size)
                rounds.append((own["wall, s"], own["processor, s"], *deface.seconds(command, body)))
            middle = [statistics.median(each) for each in zip(*rounds, strict=True)]
            for name, value in zip(total, (size, *middle), strict=True):
                total[name] += value
            print(f"{size:5.1f} MP  {_said(*middle)}  found {found}", flush=True)
    size, *spent = total.values()
    print(f"{size:5.1f} MP  {_said(*spent)}  in all")


def _said(wall: float, processor: float, other_wall: float, other: float) -> str:
    return (
        f"Veil {wall:.2f} s, {processor:.2f} processor; deface {other_wall:.2f} s, {other:.2f} processor; "
        f"deface / Veil {other_wall / wall:.2f}, {other / processor:.2f}"
    )


if __name__ == "__main__":
    main()
