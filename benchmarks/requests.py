"""Whole requests to a service process: seconds per megapixel, stages, peak memory; and many clients at a time."""

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from benchmarks.foundation import CODEC_AND_DETECTION, post, stages
from tests.service_process import ServiceProcess

MIB = 1024 * 1024
CLIENTS = (1, 2, 4, 8)


def processor_seconds(service: ServiceProcess) -> float:
    spent = service.usage.cpu_times()
    return float(spent.user + spent.system)


def one(service: ServiceProcess, body: bytes, megapixels: float) -> dict[str, Any]:
    """One request, alone."""
    service.reset_peak()
    before, began = processor_seconds(service), time.perf_counter()
    answer = post(service, body)
    wall, cpu = time.perf_counter() - began, processor_seconds(service) - before
    spent = stages(answer)
    known = sum(spent.get(name, 0.0) for name in CODEC_AND_DETECTION) / 1000
    return {
        "wall, s": wall,
        "wall, s/MP": wall / megapixels,
        "processor, s": cpu,
        "peak, MiB": service.peak_bytes() / MIB,
        "stages, ms": spent,
        "service overhead, share": (wall - known) / wall,
        "beside detection, share": (wall - spent["detect"] / 1000) / wall,
    }


def throughput(service: ServiceProcess, body: bytes, cores: int, pictures: int) -> dict[str, Any]:
    """Pictures per second for several clients, `pictures` by all of them; and the share of the cores' capacity.

    Capacity is what the cores could do if they did nothing else: cores / processor seconds of one picture.
    """
    post(service, body)
    before = processor_seconds(service)
    for _ in range(pictures):
        post(service, body)
    alone = (processor_seconds(service) - before) / pictures
    result: dict[str, Any] = {"processor seconds of a picture": alone}
    for clients in CLIENTS:
        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda _: post(service, body), range(pictures)))
        rate = pictures / (time.perf_counter() - began)
        result[f"{clients} clients"] = {"pictures/s": rate, "share of capacity": rate * alone / cores}
    return result


def beside_a_giant(service: ServiceProcess, small: bytes, giant: bytes, count: int) -> dict[str, float]:
    """How long a small picture takes alone, and while a giant is worked on."""

    def seconds() -> float:
        began = time.perf_counter()
        post(service, small)
        return time.perf_counter() - began

    alone = [seconds() for _ in range(count)]
    done = threading.Event()

    def send() -> None:
        try:
            with httpx.Client(timeout=3600) as client:
                url = f"{service.url}/v1/anonymize"
                client.post(url, content=giant, headers={"Content-Type": "image/jpeg"}).raise_for_status()
        finally:
            done.set()

    sending = threading.Thread(target=send)
    sending.start()
    time.sleep(2)
    beside = []
    while not done.is_set() and len(beside) < count:
        spent = seconds()
        if not done.is_set():
            beside.append(spent)
    sending.join()
    median = statistics.median(alone)
    return {
        "alone, median s": median,
        "beside, median s": statistics.median(beside),
        "beside, p99 s": sorted(beside)[max(0, round(0.99 * len(beside)) - 1)],
        "p99 beside / median alone": sorted(beside)[max(0, round(0.99 * len(beside)) - 1)] / median,
        "pictures beside": float(len(beside)),
    }
