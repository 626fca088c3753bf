"""The budget of the foundation: start, memory, overhead, concurrency. Medians on the machine at hand."""

import re
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from benchmarks.pictures import jpeg, street
from tests.service_process import ServiceProcess

MIB = 1024 * 1024
CODEC_AND_DETECTION = ("decode", "detect", "encode")


def median(measure: Callable[[], float], repeats: int) -> float:
    return statistics.median(measure() for _ in range(repeats))


# Made once: a client loads the system's certificates when it is made, which takes longer than the whole overhead.
CLIENT = httpx.Client()


def post(service: ServiceProcess, body: bytes, **options: str) -> httpx.Response:
    answer = CLIENT.post(
        f"{service.url}/v1/anonymize",
        params=options,
        content=body,
        headers={"Content-Type": "image/jpeg"},
        timeout=300,
    )
    answer.raise_for_status()
    return answer


def stages(answer: httpx.Response) -> dict[str, float]:
    """Milliseconds per stage from `Server-Timing`."""
    return {name: float(ms) for name, ms in re.findall(r"([\w-]+);dur=([\d.]+)", answer.headers["Server-Timing"])}


def start_seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with ServiceProcess(Path(folder)):
            return time.perf_counter() - began


def measure(repeats: int = 5) -> dict[str, Any]:
    """All figures of the budget, with their limits."""
    body = jpeg(street(4000, 3000))
    small = jpeg(street(1600, 1200, seed=1))
    with tempfile.TemporaryDirectory() as folder, ServiceProcess(Path(folder)) as service:
        idle = service.usage.memory_info().rss
        post(service, small)
        service.reset_peak()
        answer = post(service, body)
        peak = service.peak_bytes()

        def overhead() -> float:
            began = time.perf_counter()
            spent = stages(post(service, body))
            wall = (time.perf_counter() - began) * 1000
            return wall - sum(spent.get(name, 0.0) for name in CODEC_AND_DETECTION)

        overheads = [overhead() for _ in range(repeats)]

        def one_after_the_other() -> float:
            began = time.perf_counter()
            post(service, small)
            post(service, small)
            return time.perf_counter() - began

        def at_the_same_time() -> float:
            began = time.perf_counter()
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda _: post(service, small), range(2)))
            return time.perf_counter() - began

        # Alternating, so that a slower minute of the machine meets both.
        pairs = [(one_after_the_other(), at_the_same_time()) for _ in range(repeats)]
    ratio = statistics.median(both / single for single, both in pairs)
    timing = stages(answer)
    return {
        "start to ready, s": (median(start_seconds, repeats), 5.0),
        "idle resident memory, MiB": (idle / MIB, 450.0),
        "peak at 12 megapixels, MiB": (peak / MIB, 1024.0),
        "overhead at 12 megapixels, ms": (statistics.median(overheads), 50.0),
        "two at once / one after the other": (ratio, 1.0),
        "stages of 12 megapixels, ms": timing,
        "seconds per megapixel": sum(timing.values()) / 1000 / 12,
    }
