"""`veil models build`: the detectors' files, made from what is published or committed, the same bytes each time.

Needs the extra `build` (ONNX), which the running service does not have.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from service.models import centerface, platenet
from service.models.any_size import in_single_precision
from service.models.catalog import Catalog, ForProcessors, ModelError, ModelSpec
from service.models.eight_bits import FILE as EIGHT_BITS
from service.models.eight_bits import Calibration, in_eight_bits
from service.models.verify import sha256_of


def _face(_: Path) -> bytes:
    return centerface.rewrite(centerface.obtain())


def _gate(folder: Path) -> bytes:
    return (folder / GATE_SOURCE).read_bytes()


GATE_SOURCE = "source/gate.onnx"
"""The gate's whole graph is exported by its training."""

RECIPES: Mapping[str, Callable[[Path], bytes]] = {"face": _face, "plate": platenet.from_folder, "gate": _gate}
"""How to make each model from its folder; models that are not named here come as finished files."""


def build_models(root: Path, progress: Callable[[str], None]) -> list[ModelSpec]:
    """Makes every model of the catalog in `root` that has a recipe; `progress` is told what happens.

    A file that already matches its checksum is left alone, and a new one is put in its place only if it matches.
    Raises ModelError if a model cannot be obtained or comes out as another file, and whatever `Catalog.read` raises.
    """
    catalog = Catalog.read(root)
    for spec in catalog.wanted:
        file = catalog.file(spec)
        if file.is_file() and sha256_of(file) == spec.sha256:
            progress(f"{spec.label}: already there")
        elif spec.name in RECIPES:
            progress(f"{spec.label}: building")
            _put(spec, RECIPES[spec.name](root / spec.name), file)
        else:
            progress(f"{spec.label}: has no recipe and comes as a finished file")
        for kind in ForProcessors:
            _build_for_processors(spec, catalog, kind, progress)
    return list(catalog.wanted)


def _build_for_processors(
    spec: ModelSpec, catalog: Catalog, kind: ForProcessors, progress: Callable[[str], None]
) -> None:
    meant = catalog.for_processors(kind)
    if spec.label not in meant.files:
        return
    (wanted,) = (each for each in meant.wanted if each.label == spec.label)
    file = meant.file(wanted)
    if file.is_file() and sha256_of(file) == wanted.sha256:
        progress(f"{spec.label} {kind.words}: already there")
        return
    progress(f"{spec.label} {kind.words}: building")
    content = catalog.file(spec).read_bytes()
    if kind is ForProcessors.INT8:
        made: bytes | None = in_eight_bits(content, Calibration.read(catalog.root / spec.name / EIGHT_BITS))
    else:
        made = in_single_precision(content)
    if made is None:
        raise ModelError(f"{spec.label}: the catalog has a checksum for {kind!r}, but there is nothing to change")
    _put(wanted, made, file)


def _put(spec: ModelSpec, content: bytes, file: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != spec.sha256:
        raise ModelError(
            f"{spec.label}: the built file's SHA-256 is {found}, the catalog says {spec.sha256}. "
            "Is the environment the one of requirements/build.txt?"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and renamed, so that a file of that name is always whole.
    handle, partial = tempfile.mkstemp(dir=file.parent, prefix=".model-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(partial).chmod(0o644)
        Path(partial).replace(file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
