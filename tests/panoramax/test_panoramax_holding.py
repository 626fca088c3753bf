"""Panoramax gives a picture up after a second of errors: what fails for a moment behind the service must not show."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.setups import encoded, portrait
from tests.e2e.test_load_and_leaving import metric, receipts, wait_for
from tests.postgres.server import PostgresProcess
from tests.service_process import ServiceProcess
from tests.triton.server import TritonProcess

pytestmark = pytest.mark.timeout(240)


def blur(service: ServiceProcess, data: bytes) -> httpx.Response:
    files = {"picture": ("picture.jpg", data, "image/jpeg")}
    return httpx.post(f"{service.url}/blur/", files=files, headers={"Accept": "multipart/form-data"}, timeout=120)


def held(service: ServiceProcess, answer: Future[httpx.Response]) -> bool:
    """Whether the request is under way and the service knows that a part is missing."""
    assert not answer.done(), answer.result().text
    ready = httpx.get(f"{service.url}/blur/", timeout=30).status_code == 200
    return not ready and metric(service, "veil_admission_places") == 1


@pytest.fixture
def own_triton(triton_repository: Path, tmp_path: Path) -> Iterator[TritonProcess]:
    """A tritonserver that a test may kill."""
    process = TritonProcess(tmp_path / "triton", repository=triton_repository)
    process.start()
    yield process
    process.kill()


def test_a_record_store_that_restarts_is_waited_for(postgres_process: PostgresProcess, tmp_path: Path) -> None:
    environ = {"VEIL_DATABASE__URL": postgres_process.create_database("holding"), "VEIL_DATABASE__TIMEOUT": "2"}
    with ServiceProcess(tmp_path, environ) as service, ThreadPoolExecutor(1) as pool:
        postgres_process.kill()
        try:
            answer = pool.submit(blur, service, encoded(portrait(), "JPEG"))
            wait_for(lambda: held(service, answer))
        finally:
            postgres_process.start()
        assert answer.result().status_code == 200, answer.result().text
        assert [each["outcome"] for each in receipts(service)] == ["ok"]


def test_a_detector_that_restarts_is_waited_for(own_triton: TritonProcess, tmp_path: Path) -> None:
    environ = {"VEIL_DETECTION__ENGINE": "triton", "VEIL_DETECTION__TRITON_URL": own_triton.url}
    with ServiceProcess(tmp_path, environ) as service, ThreadPoolExecutor(1) as pool:
        own_triton.kill()
        try:
            answer = pool.submit(blur, service, encoded(portrait(), "JPEG"))
            wait_for(lambda: held(service, answer))
        finally:
            own_triton.start()
        assert answer.result().status_code == 200, answer.result().text
        found = receipts(service)
        assert [each["outcome"] for each in found] == ["ok"]
        assert found[0]["counts"]["face"] == 1
