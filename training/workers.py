"""Processes that draw crops: batches beside the one that trains, or places to be written down."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path
from threading import Thread

import cv2
import numpy as np

from training.fonts import Fonts
from training.photographs import Photographs
from training.places import write
from training.proposals import FirstStage, collect
from training.samples import Batch, Mixture, Samples


def end_with_parent() -> None:
    """Ends this process when the one that started it is gone: who kills a training leaves nothing that computes."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _work(
    queue: "Queue[Batch]", cache: Path, fonts: Path, seed: int, mixture: Mixture, pixels: int, teachers: Sequence[Path]
) -> None:
    end_with_parent()
    cv2.setNumThreads(1)
    teacher = None
    if teachers:
        from training.teacher import Teacher

        teacher = Teacher(teachers)
    samples = Samples(Photographs(cache), Fonts.find(fonts), seed, mixture)
    while True:
        queue.put(samples.batch(pixels, teacher))


@contextmanager
def batches(
    cache: Path, fonts: Path, seed: int, mixture: Mixture, pixels: int, count: int, teachers: Sequence[Path] = ()
) -> Iterator[Iterator[Batch]]:
    """An endless stream of batches from `count` processes with the seeds `seed`, `seed` + 1, …

    `teachers`: checkpoints of the networks whose scores go with the batches.

    Raises RuntimeError from the stream if a process ends.
    """
    context = multiprocessing.get_context("spawn")
    queue: Queue[Batch] = context.Queue(2 + 2 * count)
    processes = [
        context.Process(target=_work, args=(queue, cache, fonts, seed + k, mixture, pixels, teachers), daemon=True)
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


PLACES_MIXTURE = Mixture(mined=0.2, real=0.5, sides=(320, 320, 416))
"""Of the crops of which proposals are taken."""


def write_places(
    cache: Path, fonts: Path, model: Path, places: Path, seed: int, count: int, workers: int, mixture: Mixture
) -> int:
    """Writes at least `count` places to the folder `places` by so many processes; how many."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        each = -(-count // workers)
        jobs = [pool.submit(_propose, cache, fonts, model, places, seed + k, each, mixture) for k in range(workers)]
        return sum(job.result() for job in jobs)


def _propose(cache: Path, fonts: Path, model: Path, places: Path, seed: int, count: int, mixture: Mixture) -> int:
    cv2.setNumThreads(1)
    samples = Samples(Photographs(cache), Fonts.find(fonts), seed, mixture)
    stream = collect(samples, FirstStage(model), np.random.default_rng(seed + 1000))
    return write(stream, places, f"{seed:05d}", count)
