"""The compose stack when it is stopped and started again."""

import http.client
from urllib.parse import urlsplit

import httpx
import pytest

from tests.deploy.stack import PROJECT, Stack, await_that, podman

pytestmark = pytest.mark.containers


def test_a_stop_answers_the_request_that_is_under_way(
    running: Stack, client: httpx.Client, key: str, photograph: bytes
) -> None:
    """Half of the upload is sent, the stop begins, the rest is sent: the picture still comes back."""
    already = running.logs("veil").count("Shutting down")
    address = urlsplit(running.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.putrequest("POST", "/v1/anonymize")
    for name, value in {"api-key": key, "Content-Type": "image/jpeg", "Content-Length": str(len(photograph))}.items():
        connection.putheader(name, value)
    connection.endheaders(photograph[: len(photograph) // 2])
    # Until the service has begun with it, a stop may rightly refuse it.
    await_that(lambda: running.gauge("veil_admission_places") == 1.0)

    stopping = running.begin("stop", "veil")
    try:
        await_that(lambda: running.logs("veil").count("Shutting down") > already)
        connection.send(photograph[len(photograph) // 2 :])
        answer = connection.getresponse()
        body = answer.read()
        assert stopping.wait(60) == 0
        state = running.inspected("veil")["State"]
    finally:
        stopping.kill()
        stopping.wait()
        connection.close()
        podman("start", running.container("veil"))
        running.await_health("veil")
    assert answer.status == 200
    assert body[:2] == b"\xff\xd8"
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    receipt = client.get(f"/v1/receipts/{answer.headers['Veil-Receipt']}")
    assert receipt.status_code == 200
    assert receipt.json()["outcome"] == "ok"


def test_records_and_keys_survive_down_and_up(running: Stack, client: httpx.Client, photograph: bytes) -> None:
    sent = client.post("/v1/anonymize", content=photograph, headers={"Content-Type": "image/jpeg"})
    before = client.get(f"/v1/receipts/{sent.headers['veil-receipt']}")
    assert before.status_code == 200
    running.down()
    assert not podman("ps", "--all", "--quiet", "--filter", f"label=io.podman.compose.project={PROJECT}").stdout.strip()
    running.up("veil")
    assert client.get(f"/v1/receipts/{sent.headers['veil-receipt']}").json() == before.json()
