"""A model repository for a Triton server, from the catalog's checked files."""

import shutil
from importlib.resources import files
from pathlib import Path

from service.models.catalog import Catalog, ModelError
from service.models.triton_config import FILES, TritonEngine, triton_config
from service.models.verify import verify_files

PYTHON_BACKEND = "python_backend.py"


def export_repository(catalog: Catalog, target: Path, engine: TritonEngine | str) -> None:
    """Writes `<target>/<name>/config.pbtxt` and `<version>/model.onnx` for every model of `catalog`.

    For `tensorrt` the plan is still to be built from the ONNX file, beside it as `model.plan`, on the GPU that will
    run it. For `python` the backend's `model.py` is added.

    Raises ModelError if a file does not match its checksum or there is no such engine, OSError if the target cannot be
    written.
    """
    try:
        engine = TritonEngine(engine)
    except ValueError:
        raise ModelError(f"there is no engine {engine!r}; choose one of {', '.join(TritonEngine)}") from None
    problems = verify_files(catalog)
    if problems:
        raise ModelError("nothing was exported: " + "; ".join(map(str, problems)))
    for spec in catalog.specs:
        version = target / spec.name / spec.version
        version.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(catalog.file(spec), version / "model.onnx")
        if engine is TritonEngine.PYTHON:
            backend = files("service.models").joinpath(PYTHON_BACKEND).read_text(encoding="utf-8")
            (version / FILES[engine]).write_text(backend, encoding="utf-8")
        (target / spec.name / "config.pbtxt").write_text(triton_config(spec, engine), encoding="utf-8")
