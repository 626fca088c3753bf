"""Load, clients that leave, and a service that is told to stop: each ends in an answer or a precise problem."""

import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks.pictures import jpeg, photograph
from tests.e2e.setups import encoded, portrait
from tests.service_process import ServiceProcess

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("load")
    with ServiceProcess(folder, {"VEIL_ADMISSION__WORKERS": "2", "VEIL_ADMISSION__QUEUE": "8"}) as process:
        yield process


def metric(service: ServiceProcess, name: str) -> float:
    text = httpx.get(service.metrics_url, timeout=10).text
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


def post(service: ServiceProcess, body: bytes, **options: str) -> httpx.Response:
    headers = {"Content-Type": "image/jpeg"}
    return httpx.post(f"{service.url}/v1/anonymize", params=options, content=body, headers=headers, timeout=120)


def receipts(service: ServiceProcess, **query: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    cursor: dict[str, str] = {}
    while True:
        page = httpx.get(f"{service.url}/v1/receipts", params={**query, **cursor}, timeout=30).json()
        found += page["receipts"]
        if not page["next_cursor"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def half_a_request(service: ServiceProcess, body: bytes, sent: int) -> socket.socket:
    """A connection on which the head and the first `sent` bytes of the body are out."""
    address = urlsplit(service.url)
    assert address.hostname is not None
    connection = socket.create_connection((address.hostname, address.port or 80))
    head = (
        f"POST /v1/anonymize?source_ref=left HTTP/1.1\r\nHost: veil\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body[:sent])
    return connection


def test_fifty_uploads_on_a_queue_of_eight(service: ServiceProcess) -> None:
    body = encoded(portrait(), "JPEG")
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(service, body, source_ref="fifty"), range(50)))
    by_status = {status: sum(a.status_code == status for a in answers) for status in (200, 429)}
    assert sum(by_status.values()) == 50
    assert by_status[200] >= 10
    assert by_status[429] >= 1
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"] == "application/problem+json"
    stored = {str(receipt["id"]) for receipt in receipts(service, source_ref="fifty", outcome="ok")}
    assert stored == {a.headers["veil-receipt"] for a in answers if a.status_code == 200}
    assert metric(service, "veil_admission_places") == 0


def test_a_client_that_leaves_during_the_upload_leaves_nothing_behind(service: ServiceProcess) -> None:
    body = encoded(portrait(), "JPEG")
    post(service, body)
    before = service.usage.num_fds()
    for _ in range(40):
        half_a_request(service, body, len(body) // 2).close()
    # Some of the forty may not have been seen yet, and are still to come and go.
    wait_for(lambda: post(service, body).status_code == 200)
    wait_for(lambda: metric(service, "veil_admission_places") == 0)
    wait_for(lambda: service.usage.num_fds() <= before + 2)
    assert {r["outcome"] for r in receipts(service, source_ref="left")} <= {"failed", "rejected"}


def test_a_client_that_leaves_during_the_work_ends_it(service: ServiceProcess) -> None:
    body = jpeg(photograph(6000, 4000))
    connection = half_a_request(service, body, len(body))
    wait_for(lambda: metric(service, "veil_admission_places") == 1)
    wait_for(lambda: metric(service, "veil_admission_waiting") == 0)
    connection.close()
    wait_for(lambda: metric(service, "veil_admission_places") == 0, seconds=5)
    wait_for(lambda: any(r["problem"] == "client-disconnected" for r in receipts(service, source_ref="left")))


def test_a_stalled_upload_is_ended(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, {"VEIL_SERVER__UPLOAD_TIMEOUT": "0.5"}) as service:
        connection = half_a_request(service, encoded(portrait(), "JPEG"), 1000)
        with connection:
            connection.settimeout(20)
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        assert answer.startswith("HTTP/1.1 408")
        assert "upload-incomplete" in answer
        wait_for(lambda: metric(service, "veil_admission_places") == 0)


def test_many_pictures_do_not_make_it_grow(service: ServiceProcess) -> None:
    body = encoded(portrait(), "JPEG")

    def round_of(count: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(lambda _: post(service, body, effort="fast"), range(count))
            assert all(answer.status_code == 200 for answer in answers)

    round_of(30)
    memory, files = service.usage.memory_info().rss, service.usage.num_fds()
    round_of(60)
    assert service.usage.memory_info().rss < memory + 40 * 1024 * 1024
    assert service.usage.num_fds() <= files + 4


def test_a_stop_lets_the_running_picture_finish(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path).start()
    body = jpeg(photograph(3000, 2000))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(post, service, body)
        wait_for(lambda: metric(service, "veil_admission_places") == 1)
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        answer = running.result()
    assert answer.status_code == 200
    assert service.process.wait(30) == 0
    with service as again:
        got = httpx.get(f"{again.url}/v1/receipts/{answer.headers['veil-receipt']}", timeout=10)
        assert got.json()["outcome"] == "ok"
