"""Processes that draw batches beside the one that trains."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path

import cv2

from training.fonts import Fonts
from training.photographs import Photographs
from training.samples import Batch, Mixture, Samples


def _work(queue: "Queue[Batch]", cache: Path, fonts: Path, seed: int, mixture: Mixture, pixels: int) -> None:
    cv2.setNumThreads(1)
    samples = Samples(Photographs(cache), Fonts.find(fonts), seed, mixture)
    while True:
        queue.put(samples.batch(pixels))


@contextmanager
def batches(
    cache: Path, fonts: Path, seed: int, mixture: Mixture, pixels: int, count: int
) -> Iterator[Iterator[Batch]]:
    """An endless stream of batches from `count` processes with the seeds `seed`, `seed` + 1, …

    Raises RuntimeError from the stream if a process ends.
    """
    context = multiprocessing.get_context("spawn")
    queue: Queue[Batch] = context.Queue(2 + 2 * count)
    processes = [
        context.Process(target=_work, args=(queue, cache, fonts, seed + k, mixture, pixels), daemon=True)
        for k in range(count)
    ]
    for process in processes:
        process.start()

    def stream() -> Iterator[Batch]:
        while True:
            while queue.empty():
                if any(process.exitcode is not None for process in processes):
                    raise RuntimeError("a process that draws batches has ended")
                processes[0].join(0.02)
            yield queue.get()

    try:
        yield stream()
    finally:
        for process in processes:
            process.terminate()
            process.join()
