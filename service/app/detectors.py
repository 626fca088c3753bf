"""The detectors behind the configured engine, each answering only while it is proven."""

import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

from service.app.failure import StartError
from service.detection.detector import Detector
from service.detection.embedded import OnnxDetector
from service.detection.processor import multiplies_bytes
from service.detection.proven import ProvenDetector
from service.detection.tiled import TiledDetection
from service.detection.turns import TurnPool
from service.detection.versions import VersionedDetector
from service.models.catalog import Catalog, ForProcessors, ModelSpec
from service.models.golden import Golden
from service.models.verify import verify_file, verify_files
from service.settings import EmbeddedPrecision, Engine, Settings

AHEAD = 2
"""Tiles that are ready before a thread is."""


def read_catalog(settings: Settings) -> Catalog:
    """The model catalog as the configured engine computes it, its files checked against their checksums."""
    try:
        catalog = Catalog.read(settings.models.repository)
    except (OSError, ValueError) as error:
        raise StartError(f"The model catalog cannot be read: {error}") from error
    if settings.detection.engine is Engine.EMBEDDED:
        problems = verify_files(catalog)
        if problems:
            listed = "\n  ".join(str(problem) for problem in problems)
            raise StartError(f"The model files are not the ones of the catalog:\n  {listed}\nRun 'veil models build'.")
    return as_computed(settings, catalog)


def as_computed(settings: Settings, catalog: Catalog) -> Catalog:
    """`catalog` with the files that the configured engine takes: the embedded one those in 8 bits, where they pay."""
    detection = settings.detection
    if detection.engine is not Engine.EMBEDDED:
        return catalog
    if detection.precision is EmbeddedPrecision.AUTO:
        reduced = multiplies_bytes()
    else:
        reduced = detection.precision is EmbeddedPrecision.INT8
    return catalog.for_processors(*((ForProcessors.INT8,) if reduced else ()), ForProcessors.FP32)


@asynccontextmanager
async def open_detectors(settings: Settings, catalog: Catalog) -> AsyncIterator[Sequence[Detector]]:
    """One detector for each model of the catalog, behind the configured engine, each answering only while proven.

    The embedded engine has a gate before them, unless the settings say otherwise: a tile that it leaves out costs a
    twelfth. A server with a GPU has better things to do than to wait for a processor.
    """
    try:
        golden = {
            spec.label: Golden.read(catalog, spec) for wanted in catalog.wanted for spec in catalog.versions(wanted)
        }
    except ValueError as error:
        raise StartError(f"Golden answers cannot be read: {error}\nRun 'veil models golden'.") from error
    if settings.detection.engine is Engine.TRITON:
        from service.detection import triton
        from service.detection.shared_tiles import SharedTiles

        client = triton.connect(settings.detection.triton_url)
        shared = SharedTiles(client) if settings.detection.triton_shared_memory else None
        timeout = settings.detection.timeout
        try:
            yield [
                VersionedDetector(
                    [
                        ProvenDetector(
                            triton.TritonDetector(spec, client, timeout=timeout, shared=shared), golden[spec.label]
                        )
                        for spec in catalog.versions(wanted)
                    ]
                )
                for wanted in catalog.specs
            ]
        finally:
            if shared is not None:
                await shared.close()
            await client.close()
        return
    pool = TurnPool(inference_threads(settings), "inference")
    try:
        yield [
            VersionedDetector(
                [
                    ProvenDetector(
                        OnnxDetector(spec, catalog.file(spec), pool=pool),
                        golden[spec.label],
                        partial(wrong_file, catalog, spec),
                    )
                ]
            )
            for spec in (catalog.wanted if settings.detection.gate else catalog.specs)
        ]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def wrong_file(catalog: Catalog, spec: ModelSpec) -> str | None:
    """What is wrong with the file of `spec`, None if nothing is."""
    problem = verify_file(catalog, spec)
    return None if problem is None else problem.text


def tiled_detection(settings: Settings, detectors: Sequence[Detector], cpu: Executor) -> TiledDetection:
    """All detectors, fed as suits the engine: the embedded one computes single tiles and gets them so, a few ahead.

    Batches would gain it nothing, need memory and keep other pictures waiting. Raises StartError if a model's tiles are
    not larger than the overlap.
    """
    for each in detectors:
        if settings.detection.overlap >= min(each.spec.tile_width, each.spec.tile_height):
            raise StartError(
                f"VEIL_DETECTION__OVERLAP is {settings.detection.overlap}; it must be smaller than the tiles of "
                f"{each.spec.label}."
            )
    embedded = settings.detection.engine is Engine.EMBEDDED
    return TiledDetection(
        detectors,
        engine=engine_name(settings),
        overlap=settings.detection.overlap,
        concurrency=inference_threads(settings) + AHEAD if embedded else settings.detection.concurrency,
        batch=1 if embedded else None,
        blank=settings.detection.blank_contrast,
        cpu=cpu,
    )


def inference_threads(settings: Settings) -> int:
    """Tiles that the embedded engine computes at the same time."""
    return settings.detection.threads or len(os.sched_getaffinity(0))


def engine_name(settings: Settings) -> Literal["onnxruntime", "triton"]:
    """The engine as receipts name it."""
    return "triton" if settings.detection.engine is Engine.TRITON else "onnxruntime"
