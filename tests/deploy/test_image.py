"""The image that the Dockerfile gives, on its own."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from service import __version__
from tests.deploy.compose_files import ROOT
from tests.deploy.stack import RUN_ARGUMENTS, await_that, podman

pytestmark = pytest.mark.containers

HARDENED = (*RUN_ARGUMENTS.split(), "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
ALONE = "veil-test-alone"


@pytest.fixture(scope="module")
def image(images: dict[str, str]) -> str:
    return images["SERVICE_IMAGE"]


@pytest.fixture(scope="module")
def described(image: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(podman("image", "inspect", image).stdout)
    return found[0]


def shell(image: str, script: str) -> str:
    """What `script` prints in a hardened container without a network."""
    return podman("run", "--rm", "--network=none", *HARDENED, "--entrypoint=sh", image, "-c", script).stdout


def test_it_says_what_it_is_and_how_it_is_run(described: dict[str, Any]) -> None:
    config = described["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["veil"]
    assert config["Cmd"] == ["serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert described["Healthcheck"]["Test"][-1] == "/livez"
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_no_tool_and_no_leftover_of_the_build_is_in_it(image: str) -> None:
    tools = "gcc cc c++ ld make git curl wget pip pip3 uv"
    assert shell(image, f"for tool in {tools}; do command -v $tool; done; true") == ""
    leftovers = (
        "-name '*.whl' -o -name '.cache' -o -name 'pip' -o -name 'onnx' -o -name '.git' -o -path '*/deploy/secrets'"
    )
    assert (
        shell(
            image,
            f"find /opt /root /tmp /home /src /usr/share/veil /var/cache/apt/archives {leftovers} 2>/dev/null; true",
        )
        == ""
    )


def test_every_module_of_the_environment_is_compiled(image: str) -> None:
    """Without bytecode each start would compile everything anew: nothing can be written later."""
    count = (
        "from pathlib import Path as P; "
        "print(*(len([*P(p).rglob(e)]) for p in ('/opt/veil', '/opt/venv/lib') for e in ('*.py', '*.pyc')))"
    )
    own, own_compiled, others, others_compiled = map(int, shell(image, f'python -c "{count}"').split())
    assert own_compiled == own > 50
    # A few packages carry templates that are no valid modules.
    assert others_compiled > 0.99 * others > 1000


def test_the_models_are_in_it_and_are_the_right_ones(image: str) -> None:
    assert (
        "models match their checksums"
        in podman("run", "--rm", "--network=none", *HARDENED, image, "models", "verify").stdout
    )


def test_onnx_runtime_tells_nobody_that_it_runs(image: str) -> None:
    said = podman("run", "--rm", "--network=none", *HARDENED, "--entrypoint=python", image, "-c", "import onnxruntime")
    assert "telemetry" not in said.stdout + said.stderr
    assert shell(image, "echo $ORT_DISABLE_TELEMETRY").strip() == "1"


def test_libturbojpeg_is_found(image: str) -> None:
    assert shell(image, "python -c \"import ctypes; print(ctypes.CDLL('libturbojpeg.so.0')._name)\"").strip()


def test_without_a_key_it_refuses_to_start_and_says_how_to_make_one(image: str) -> None:
    refused = podman(
        "run", "--rm", "--network=none", *HARDENED, "--volume=/var/lib/veil", image, check=False, timeout=60
    )
    assert refused.returncode == 2
    assert "veil keys create" in refused.stderr


@pytest.fixture
def alone(image: str) -> Iterator[tuple[str, str]]:
    """The image by itself, with the embedded engine and SQLite in a volume: its address and an API key."""
    podman("rm", "--force", "--ignore", ALONE)
    podman("volume", "rm", "--force", ALONE, check=False)
    mounts = ("--tmpfs=/tmp:mode=1777", f"--volume={ALONE}:/var/lib/veil")
    try:
        made = podman("run", "--rm", *HARDENED, *mounts, image, "keys", "create", "--name=alone", "--role=anonymize")
        podman("run", "--detach", f"--name={ALONE}", *HARDENED, *mounts, "--publish=127.0.0.1::8080", image)
        bound = re.search(r"127\.0\.0\.1:\d+", podman("port", ALONE, "8080/tcp").stdout)
        assert bound is not None
        await_that(lambda: podman("healthcheck", "run", ALONE, check=False).returncode == 0)
        yield f"http://{bound[0]}", made.stdout.strip()
    finally:
        podman("rm", "--force", "--ignore", ALONE)
        podman("volume", "rm", "--force", ALONE, check=False)


def test_one_container_is_enough_for_the_embedded_default(alone: tuple[str, str], photograph: bytes) -> None:
    url, key = alone
    headers = {"api-key": key, "Content-Type": "image/jpeg"}
    answer = httpx.post(f"{url}/v1/anonymize", content=photograph, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["veil-detections"].startswith("face=1")
    documentation = httpx.get(f"{url}/docs", timeout=20)
    assert documentation.status_code == 200
    for asset in re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', documentation.text):
        assert httpx.get(urljoin(f"{url}/docs", asset), timeout=20).status_code == 200, asset


def test_the_version_is_the_same_everywhere() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"ARG VERSION={__version__}\n" in dockerfile
