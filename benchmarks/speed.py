"""How fast, how much memory, how many at a time; beside what somebody would take instead. One run, by turns."""

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import deface, jpegtran, panoramas, requests, stages
from benchmarks.foundation import post
from benchmarks.pictures import jpeg, street
from service.imaging.turbojpeg import load
from tests.service_process import ServiceProcess

LARGEST_FOR_DEFACE = 20
"""Megapixels."""

PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""As `make run` and the image have it."""

PATIENT = {"VEIL_ADMISSION__WAIT_SECONDS": "600"}
"""Eight clients at a time are to be measured, not refused."""


def measure(say: Callable[[str, Any], None], *, sizes: list[str], quick: bool, pictures: Path | None) -> dict[str, Any]:
    """All figures for pictures of `sizes` megapixels, each told to `say` as soon as it is there."""
    figures: dict[str, Any] = {}

    def note(name: str, figure: Any) -> None:
        figures[name] = figure
        say(name, figure)

    bodies = {name: panoramas.picture(name, pictures) for name in panoramas.SIZES if name.split(" ")[0] in sizes}
    library = load()
    for name, body in bodies.items():
        if library is not None:
            repeats = 3 if quick else 5
            note(f"{name}: stages", stages.measure(body, library, repeats, jpegtran=jpegtran.available() and not quick))
    command = deface.install()
    small = jpeg(street(1600, 1200, seed=1))
    with tempfile.TemporaryDirectory() as folder, ServiceProcess(Path(folder), {**PAGES, **PATIENT}) as service:
        post(service, small)
        for name, body in bodies.items():
            megapixels = panoramas.SIZES[name][0] * panoramas.SIZES[name][1] / 1e6
            rounds, peers = [], []
            # deface holds the activations of the whole picture: about half a gigabyte per megapixel.
            beside = command is not None and megapixels < LARGEST_FOR_DEFACE
            for _ in range(1 if megapixels > 20 or quick else 3):
                rounds.append(requests.one(service, body, megapixels))
                if beside and command is not None:
                    peers.append(deface.seconds(command, body))
            middle = sorted(rounds, key=lambda each: float(each["wall, s"]))[len(rounds) // 2]
            note(f"{name}: request", middle)
            if peers:
                wall, processor = (statistics.median(each) for each in zip(*peers, strict=True))
                ratios = {
                    "deface / Veil, wall": wall / middle["wall, s"],
                    "deface / Veil, processor": processor / middle["processor, s"],
                }
                note(f"{name}: deface", {"wall, s": wall, "processor, s": processor, **ratios})
        cores = len(os.sched_getaffinity(0))
        note("throughput, 2 MP", requests.throughput(service, small, cores, pictures=8 if quick else 24))
        name, giant = list(bodies.items())[-1]
        note(f"2 MP beside a {name}", requests.beside_a_giant(service, small, giant, 5 if quick else 30))
    return figures
