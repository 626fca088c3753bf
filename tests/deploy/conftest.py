"""The image and the stack, made once for the session. Skipped, with the reason, where the machine cannot do it."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from PIL import Image
from skimage import data

from tests.deploy.compose_files import ROOT
from tests.deploy.stack import IMAGES, Stack

UNABLE = 75
"""Exit status by which prepare.sh says that this machine cannot run containers at all."""


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Builds the Dockerfile and the stand-ins; variable of docker-compose.yml -> image."""
    try:
        done = subprocess.run(
            ["bash", str(ROOT / "tests" / "deploy" / "prepare.sh")],
            env={k: v for k, v in os.environ.items() if not k.startswith("VEIL_")} | {"PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("containers need bash")
    if done.returncode == UNABLE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return IMAGES


@pytest.fixture(scope="session")
def stack(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An empty project: volumes of an earlier, broken run are gone, and nothing is started yet."""
    secrets = tmp_path_factory.mktemp("secrets") / "made"
    subprocess.run(["bash", str(ROOT / "deploy" / "init-secrets.sh"), str(secrets)], check=True, capture_output=True)
    stack = Stack(secrets, free_port())
    stack.down(volumes=True)
    try:
        yield stack
    finally:
        stack.down(volumes=True)


def free_port() -> int:
    """Below those that the system gives to whoever asks for any: it is to stay free until the service is started."""
    for port in range(18080, 32768):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("every port is taken")


@pytest.fixture(scope="session")
def key(stack: Stack) -> str:
    """An admin's API key, made inside, before the service ever ran."""
    stack.up("migrate")
    return stack.run("cli", "keys", "create", "--name", "first", "--role", "admin").stdout.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def running(stack: Stack, key: str) -> Stack:
    """The whole stack, healthy."""
    assert key
    stack.up("veil")
    return stack


@pytest.fixture
def client(running: Stack, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, headers={"api-key": key}, timeout=120) as client:
        yield client


@pytest.fixture(scope="session")
def photograph() -> bytes:
    """A JPEG of NASA's public-domain portrait of Eileen Collins: one face."""
    file = io.BytesIO()
    portrait = Image.fromarray(data.astronaut())  # type: ignore[no-untyped-call]
    portrait.save(file, "JPEG", quality=95)
    return file.getvalue()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Containers take their time to build and to start."""
    for item in items:
        if item.get_closest_marker("containers") and Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(1800))
