"""Parts that die, hang or run out of space while a picture is under way. Nothing leaves without a receipt."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from benchmarks.pictures import jpeg, photograph
from tests.e2e.conftest import needs_root
from tests.e2e.setups import encoded, portrait
from tests.e2e.test_load_and_leaving import metric, post, receipts, wait_for
from tests.postgres.server import PostgresProcess
from tests.service_process import ServiceProcess
from tests.triton.server import TritonProcess

pytestmark = pytest.mark.timeout(240)


def ready(service: ServiceProcess) -> bool:
    return httpx.get(f"{service.url}/readyz", timeout=30).status_code == 200


@pytest.fixture
def own_triton(triton_repository: Path, tmp_path: Path) -> Iterator[TritonProcess]:
    """A tritonserver that a test may kill."""
    process = TritonProcess(tmp_path / "triton", repository=triton_repository)
    process.start()
    yield process
    process.kill()


def test_tritonserver_killed_during_a_picture(own_triton: TritonProcess, tmp_path: Path) -> None:
    environ = {"VEIL_DETECTION__ENGINE": "triton", "VEIL_DETECTION__TRITON_URL": own_triton.url}
    with ServiceProcess(tmp_path, environ) as service, ThreadPoolExecutor(1) as pool:
        running = pool.submit(post, service, jpeg(photograph(4000, 3000)), source_ref="killed")
        wait_for(lambda: metric(service, "veil_admission_places") == 1)
        time.sleep(0.5)
        own_triton.kill()
        answer = running.result()
        assert answer.status_code == 503, answer.text
        assert answer.json()["type"].endswith("detector-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert [r["problem"] for r in receipts(service, source_ref="killed")] == ["detector-unavailable"]
        wait_for(lambda: not ready(service))
        components = httpx.get(f"{service.url}/readyz", timeout=10).json()["components"]
        assert components["face"]["status"] != "ready"
        assert components["face"]["reason"]
        own_triton.start()
        wait_for(lambda: ready(service))
        assert post(service, encoded(portrait(), "JPEG")).status_code == 200


def test_postgresql_stopped_and_started_again(postgres_process: PostgresProcess, tmp_path: Path) -> None:
    body = encoded(portrait(), "JPEG")
    environ = {"VEIL_DATABASE__URL": postgres_process.create_database("faults"), "VEIL_DATABASE__TIMEOUT": "2"}
    with ServiceProcess(tmp_path, environ) as service:
        assert post(service, body).status_code == 200
        postgres_process.kill()
        try:
            answer = post(service, body)
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"].endswith("record-store-unavailable")
            assert answer.headers["content-type"] == "application/problem+json"
            wait_for(lambda: not ready(service))
        finally:
            postgres_process.start()
        assert post(service, body).status_code == 200
        wait_for(lambda: ready(service))
        assert len(receipts(service, outcome="ok")) == 2


def fill(path: Path) -> None:
    """Writes to `path` until the disk has no room left."""
    with path.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return


@needs_root
def test_the_disk_of_the_record_store_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    body = encoded(portrait(), "JPEG")
    try:
        with ServiceProcess(tmp_path, {"VEIL_DATABASE__URL": f"sqlite:///{disk / 'veil.db'}"}) as service:
            assert post(service, body).status_code == 200
            filler = disk / "filler"
            fill(filler)
            answers = [post(service, body) for _ in range(20)]
            refused = [a for a in answers if a.status_code == 503]
            assert refused, "the disk was not full"
            assert all(a.json()["type"].endswith("record-store-unavailable") for a in refused)
            filler.unlink()
            assert post(service, body).status_code == 200
            released = 2 + sum(a.status_code == 200 for a in answers)
            assert len(receipts(service, outcome="ok")) == released
    finally:
        subprocess.run(["umount", str(disk)], check=True)
