"""`veil models golden`: writes golden answers from the model files, or compares the configured engine's with them."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from service.app.detectors import open_detectors
from service.detection.embedded import OnnxDetector
from service.detection.golden import golden_answers
from service.errors import DetectionFailed
from service.models.catalog import Catalog
from service.models.golden import Golden
from service.settings import Settings


async def write_golden(settings: Settings, catalog: Catalog) -> list[str]:
    """Writes the golden answers of every version of `catalog`, and gives their labels.

    Tolerances that an operator has set stay. Raises DetectionFailed if a file is missing or not the catalog's.
    """
    written = []
    with ThreadPoolExecutor(settings.detection.threads or len(os.sched_getaffinity(0))) as pool:
        for spec in catalog.every:
            pictures = await golden_answers(OnnxDetector(spec, catalog.file(spec), pool=pool))
            kept: Mapping[str, float] = {}
            try:
                before = Golden.read(catalog, spec)
                kept = {} if before is None else before.model_dump(include={"score", "relative", "box"})
            except ValueError:
                pass  # an unreadable file is what this command is there to replace
            made = {"version": spec.version, "sha256": spec.sha256, "pictures": pictures}
            Golden.model_validate({**kept, **made}).write(catalog, spec)
            written.append(spec.label)
    return written


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
