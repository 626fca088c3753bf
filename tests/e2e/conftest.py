"""Both set-ups, started once: embedded (ONNX Runtime, SQLite) and Triton + PostgreSQL as processes of their own."""

import os
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.setups import Setup
from tests.postgres.server import PostgresProcess
from tests.service_process import ServiceProcess
from tests.triton.server import TritonProcess

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which only root may")


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with ServiceProcess(tmp_path_factory.mktemp("embedded")) as service, connected(service) as client:
        yield Setup(service, "onnxruntime", client)


@pytest.fixture(scope="session")
def distributed(
    tmp_path_factory: pytest.TempPathFactory, triton: TritonProcess, postgres_process: PostgresProcess
) -> Iterator[Setup]:
    environ = {
        "VEIL_DETECTION__ENGINE": "triton",
        "VEIL_DETECTION__TRITON_URL": triton.url,
        "VEIL_DATABASE__URL": postgres_process.create_database("e2e"),
    }
    with ServiceProcess(tmp_path_factory.mktemp("distributed"), environ) as service, connected(service) as client:
        yield Setup(service, "triton", client)


def connected(service: ServiceProcess) -> httpx.Client:
    return httpx.Client(base_url=service.url, timeout=120)


@pytest.fixture(params=["embedded", "distributed"])
def setup(request: pytest.FixtureRequest) -> Setup:
    found: Setup = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def setups(embedded: Setup, distributed: Setup) -> dict[str, Setup]:
    return {"embedded": embedded, "distributed": distributed}
