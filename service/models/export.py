"""A model repository for a Triton server, from the catalog's checked files."""

import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from service.models.catalog import Catalog, ModelError
from service.models.triton_config import FILES, TritonEngine, triton_config
from service.models.verify import verify_files

PYTHON_BACKEND = "python_backend.py"


def export_repository(catalog: Catalog, target: Path, engine: TritonEngine | str, without: Sequence[str] = ()) -> None:
    """Writes `<target>/<name>/config.pbtxt` and `<version>/model.onnx` for every accepted version of every model.

    `without`: versions, as `name/version`, that are left out.

    For `tensorrt` the plan is still to be built from the ONNX file, beside it as `model.plan`, on the GPU that will
    run it. For `python` the backend's `model.py` is added.

    Raises ModelError if a file does not match its checksum or there is no such engine, OSError if the target cannot be
    written.
    """
    try:
        engine = TritonEngine(engine)
    except ValueError:
        raise ModelError(f"there is no engine {engine!r}; choose one of {', '.join(TritonEngine)}") from None
    unknown = set(without) - {spec.label for spec in (*catalog.specs, *catalog.others)}
    if unknown:
        raise ModelError(f"the catalog has no {', '.join(sorted(unknown))}")
    problems = verify_files(catalog)
    if problems:
        raise ModelError("nothing was exported: " + "; ".join(map(str, problems)))
    for wanted in catalog.specs:
        specs = [each for each in catalog.versions(wanted) if each.label not in without]
        if not specs:
            raise ModelError(f"nothing of {wanted.name} would be left")
        for spec in specs:
            version = target / spec.name / spec.version
            version.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(catalog.file(spec), version / "model.onnx")
            if engine is TritonEngine.PYTHON:
                backend = files("service.models").joinpath(PYTHON_BACKEND).read_text(encoding="utf-8")
                (version / FILES[engine]).write_text(backend, encoding="utf-8")
        first, *others = specs
        (target / first.name / "config.pbtxt").write_text(triton_config(first, engine, others), encoding="utf-8")
