"""The compose stack, for real: a picture through it, and what each container may and may not do."""

import io
import re

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.deploy.compose_files import MAIN, load
from tests.deploy.stack import Stack, await_that, podman

pytestmark = pytest.mark.containers

LONG_RUNNING = ("veil", "triton", "postgres")
FACE = (188, 75, 256, 160)
"""Inside the portrait's face: x1, y1, x2, y2."""
FILE_NAME = "grandmother-in-her-garden.jpg"


def test_a_picture_goes_through_triton_and_leaves_a_receipt_in_postgresql(
    client: httpx.Client, photograph: bytes
) -> None:
    answer = client.post("/v1/anonymize", content=photograph, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["veil-detections"].startswith("face=1")

    before, after = (
        np.asarray(Image.open(io.BytesIO(each)).convert("RGB"), np.int16) for each in (photograph, answer.content)
    )
    x1, y1, x2, y2 = FACE
    hidden = np.abs(after - before)[y1:y2, x1:x2].mean()
    elsewhere = np.abs(after - before)[400:, :].mean()
    assert hidden > 15
    assert elsewhere < 3

    receipt = client.get(f"/v1/receipts/{answer.headers['veil-receipt']}").json()
    assert receipt["outcome"] == "ok"
    assert receipt["engine"] == "triton"
    assert {model["name"] for model in receipt["models"]} == {"face", "plate"}
    assert receipt["service_version"] == load(MAIN)["services"]["veil"]["image"].partition(":")[2]


def test_a_request_without_a_key_is_refused(running: Stack, photograph: bytes) -> None:
    answer = httpx.post(f"{running.url}/v1/anonymize", content=photograph, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 401


def test_doctor_finds_everything_in_order(running: Stack) -> None:
    report = running.run("cli", "doctor").stdout
    assert "triton face/1" in report
    assert "WRONG" not in report


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_the_healthcheck_is_green(running: Stack, service: str) -> None:
    assert running.healthy(service)


def test_the_healthcheck_is_red_while_the_database_is_away(running: Stack) -> None:
    podman("pause", running.container("postgres"))
    try:
        await_that(lambda: not running.healthy("veil"))
    finally:
        podman("unpause", running.container("postgres"))
    running.await_health("veil")


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_a_container_has_no_rights_that_it_does_not_need(running: Stack, service: str) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in running.inside(service, "cat", "/proc/1/status").stdout.splitlines()
        if ":\t" in line
    )
    user = load(MAIN)["services"][service]["user"].partition(":")[0]
    assert set(status["Uid"].split()) == {user}
    assert {int(status[each], 16) for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize("service", LONG_RUNNING)
@pytest.mark.parametrize("folder", ["/", "/etc", "/usr", "/var/lib", "/opt", "/run", "/engines"])
def test_nothing_can_be_written_but_what_is_named(running: Stack, service: str, folder: str) -> None:
    written = running.inside(service, "sh", "-c", f"mkdir -p {folder} && : > {folder}/written", check=False)
    assert written.returncode != 0
    assert re.search("Read-only file system|Permission denied", written.stderr)


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_the_root_is_mounted_read_only(running: Stack, service: str) -> None:
    mounts = [line.split() for line in running.inside(service, "cat", "/proc/mounts").stdout.splitlines()]
    assert next(options for _, at, _, options, *_ in mounts if at == "/").split(",")[0] == "ro"
    disks = {
        at
        for _, at, kind, options, *_ in mounts
        if "rw" in options.split(",") and kind in {"ext4", "xfs", "btrfs", "overlay"}
    }
    # What podman itself mounts, and the database's own volume.
    disks -= {"/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/run/.containerenv"}
    assert disks == ({"/var/lib/postgresql/data"} if service == "postgres" else set())


def routes(stack: Stack, service: str) -> list[list[str]]:
    return [line.split() for line in stack.inside(service, "cat", "/proc/net/route").stdout.splitlines()[1:]]


@pytest.mark.parametrize("service", ["triton", "postgres"])
def test_from_the_inner_network_there_is_no_way_out(running: Stack, service: str) -> None:
    destinations = [destination for _, destination, *_ in routes(running, service)]
    assert len(destinations) == 1  # its own subnet
    assert "00000000" not in destinations


def test_only_the_service_is_published(running: Stack) -> None:
    published = {each: running.inspected(each)["NetworkSettings"]["Ports"] for each in LONG_RUNNING}
    assert {each for each, ports in published.items() if any(ports.values())} == {"veil"}
    assert [b["HostIp"] for bindings in published["veil"].values() for b in bindings or []] == ["127.0.0.1"]


def test_limits_are_set(running: Stack) -> None:
    for service in LONG_RUNNING:
        limits = running.inspected(service)["HostConfig"]
        assert limits["Memory"] > 0
        assert limits["NanoCpus"] > 0
        assert 0 < limits["PidsLimit"] <= 2048


def test_tritons_control_interfaces_are_closed_and_its_http_is_its_own(running: Stack) -> None:
    program = (
        "import tritonclient.grpc as grpc\n"
        "client = grpc.InferenceServerClient('triton:8001')\n"
        "assert client.is_server_ready()\n"
        "try:\n"
        "    client.get_model_repository_index()\n"
        "except grpc.InferenceServerException as error:\n"
        "    print(error.message())\n"
        "import socket\n"
        "print('http', socket.socket().connect_ex((socket.gethostbyname('triton'), 8000)))\n"
    )
    said = running.inside("veil", "/opt/venv/bin/python", "-c", program).stdout
    assert "This protocol is restricted" in said
    assert f"http {111}" in said  # ECONNREFUSED


def test_logs_hold_no_file_name_no_key_and_no_secret(
    running: Stack, client: httpx.Client, key: str, photograph: bytes
) -> None:
    sent = client.post("/v1/anonymize", files={"image": (FILE_NAME, photograph, "image/jpeg")})
    assert sent.status_code == 200, sent.text
    broken = client.post("/v1/anonymize", files={"image": (FILE_NAME, photograph[:999], "image/jpeg")})
    assert broken.status_code == 422
    secrets = [
        running.inside("veil", "cat", f"/run/secrets/{name}").stdout.strip()
        for name in ("database_url", "obscuring_secret")
    ]
    password = secrets[0].partition("veil:")[2].partition("@")[0]
    assert len(password) == 64
    for service in (*LONG_RUNNING, "migrate", "models", "engine-builder"):
        log = running.logs(service)
        assert log
        for word in (FILE_NAME, key, password, *secrets):
            assert word not in log
