"""Fixtures for every test that needs a Triton server (loaded by `tests/conftest.py`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.models.catalog import Catalog
from service.models.export import export_repository
from tests.triton.server import ROOT, TritonProcess


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The project's own models; `veil models build` has made the files."""
    return Catalog.read(ROOT / "model_repository")


@pytest.fixture(scope="session")
def triton_repository(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models as Triton's python backend serves them. Read only: who changes it makes a copy."""
    folder = tmp_path_factory.mktemp("triton-repository")
    export_repository(catalog, folder, "python")
    return folder


@pytest.fixture(scope="session")
def triton(triton_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """A running server with every model, for tests that leave it running; others start their own."""
    with TritonProcess(tmp_path_factory.mktemp("triton"), repository=triton_repository) as process:
        yield process
