"""`veil models golden`: writes golden answers from the model files, or compares the configured engine's with them."""

import os
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor

from service.app.detectors import open_detectors
from service.detection.embedded import OnnxDetector
from service.detection.golden import golden_answers
from service.detection.processor import multiplies_bytes
from service.errors import DetectionFailed
from service.models.catalog import Catalog, ForProcessors, ModelSpec
from service.models.golden import Golden
from service.settings import Settings


async def write_golden(settings: Settings, catalog: Catalog) -> list[str]:
    """Writes the golden answers of every version of `catalog`, and gives their labels.

    Those of files in 8 bits only where the processor computes them as they are meant to be; else they stay as they are.
    Tolerances that an operator has set stay. Raises DetectionFailed if a file is missing or not the catalog's.
    """
    written = []
    with ThreadPoolExecutor(settings.detection.threads or len(os.sched_getaffinity(0))) as pool:
        for spec in catalog.every:
            await _write(catalog, spec, pool)
            written.append(spec.label)
        for kind in ForProcessors:
            if kind is ForProcessors.INT8 and not multiplies_bytes():
                continue
            meant = catalog.for_processors(kind)
            for spec in meant.every:
                if spec.label in meant.files:
                    await _write(meant, spec, pool)
                    written.append(f"{spec.label} {kind.words}")
    return written


async def _write(catalog: Catalog, spec: ModelSpec, pool: Executor) -> None:
    pictures = await golden_answers(OnnxDetector(spec, catalog.file(spec), pool=pool))
    kept: Mapping[str, float] = {}
    try:
        before = Golden.read(catalog, spec)
        kept = {} if before is None else before.model_dump(include={"score", "relative", "box"})
    except ValueError:
        pass  # an unreadable file is what this command is there to replace
    made = {"version": spec.version, "sha256": spec.sha256, "pictures": pictures}
    Golden.model_validate({**kept, **made}).write(catalog, spec)


async def check_golden(settings: Settings, catalog: Catalog) -> dict[str, str | None]:
    """By label of the wanted version: how the configured engine fails to answer as it must, None if it does not."""
    found: dict[str, str | None] = {}
    async with open_detectors(settings, catalog) as detectors:
        for detector in detectors:
            try:
                await detector.check()
                found[detector.spec.label] = None
            except DetectionFailed as error:
                found[detector.spec.label] = f"{error.detail} {error.cause or ''}".strip()
    return found
