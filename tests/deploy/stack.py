"""The real stack: docker-compose.yml with the CPU override, run by podman-compose on locally built images.

Two things that an engine does by itself are done here, because podman needs systemd or a newer version for them:
`depends_on` conditions are awaited service by service, and healthchecks are run by hand.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.deploy.compose_files import CPU, MAIN, ROOT, TEST, conditions, in_order, load

CACHE = ROOT / ".cache" / "containers"
PROJECT = "veil-test"
IMAGES = {
    "SERVICE_IMAGE": "localhost/veil:stand-in",
    "TRITON_IMAGE": "localhost/triton:stand-in",
    "POSTGRES_IMAGE": "localhost/postgres:stand-in",
}
# As Docker does: a read-only root gets no writable folder that the compose file does not name. And no limit above what
# root may set here.
RUN_ARGUMENTS = "--read-only-tmpfs=false --ulimit=nofile=1024:4096 --ulimit=nproc=1024:1024"
PATIENCE = 60.0


class ContainerError(Exception):
    """A command of podman failed; the message has its output."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What podman needs to find our storage, and nothing of this machine's VEIL_ settings."""
    return {
        "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
        "HOME": str(CACHE),
        "CONTAINERS_CONF": str(CACHE / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(CACHE / "storage.conf"),
        **(extra or {}),
    }


def podman(*arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """`podman ARGUMENTS` on our storage. Raises ContainerError unless it succeeds or `check` is off."""
    return _run(["podman", "--log-level=fatal", *arguments], environment(), check=check, timeout=timeout)


def _run(
    command: Sequence[str], environ: Mapping[str, str], *, check: bool, timeout: float
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False, errors="replace"
    )
    if check and done.returncode != 0:
        raise ContainerError(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def await_that(holds: Callable[[], bool]) -> None:
    """Asks until it holds. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:.0f} s")
        time.sleep(0.2)


class Stack:
    """One project of podman-compose; `url` is where the service is published."""

    def __init__(self, secrets: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._services = load(MAIN)["services"]
        self._environment = environment(
            {
                **IMAGES,
                "SECRETS": str(secrets),
                "PUBLISH": f"127.0.0.1:{port}",
                "TRITON_ENGINE": "python",
            }
        )

    def command(self, *arguments: str) -> list[str]:
        return [
            str(CACHE / "compose" / "bin" / "podman-compose"),
            f"--project-name={PROJECT}",
            "--in-pod=false",
            f"--podman-run-args={RUN_ARGUMENTS}",
            "--profile=tools",
            *(f"--file={file}" for file in (MAIN, CPU, TEST)),
            *arguments,
        ]

    def compose(self, *arguments: str, check: bool = True, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        return _run(self.command(*arguments), self._environment, check=check, timeout=timeout)

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`compose`, without waiting for its end."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self._environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def container(self, service: str) -> str:
        return f"{PROJECT}_{service}_1"

    def up(self, *targets: str) -> None:
        """Starts `targets` after all that they wait for, and waits for each as its dependents ask."""
        for name in in_order(self._services, *targets):
            self.start(name)
            wanted = {conditions(each).get(name) for each in self._services.values()}
            if "service_completed_successfully" in wanted:
                self.await_end(name)
            elif "healthcheck" in self._services[name]:
                self.await_health(name)

    def start(self, service: str) -> None:
        self.compose("up", "--detach", "--no-build", "--no-deps", service)

    def await_end(self, service: str) -> None:
        status = podman("wait", self.container(service)).stdout.strip()
        if status != "0":
            raise ContainerError(f"{service} ended with {status}:\n{self.logs(service)}")

    def await_health(self, service: str) -> None:
        """Runs the container's own healthcheck until it is green."""
        try:
            await_that(lambda: self.healthy(service))
        except TimeoutError:
            raise ContainerError(f"{service} is not healthy after {PATIENCE:.0f} s:\n{self.logs(service)}") from None

    def healthy(self, service: str) -> bool:
        return podman("healthcheck", "run", self.container(service), check=False).returncode == 0

    def run(self, service: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`docker compose run --rm SERVICE ARGUMENTS`, its dependencies being there already."""
        return self.compose("run", "--rm", "-T", "--no-deps", service, *arguments, check=check)

    def inside(self, service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command inside the running container, as the container's own user."""
        return podman("exec", self.container(service), *command, check=check)

    def inspected(self, service: str) -> dict[str, Any]:
        """What podman knows about the container."""
        found: list[dict[str, Any]] = json.loads(podman("inspect", self.container(service)).stdout)
        return found[0]

    def gauge(self, name: str) -> float:
        """A metric of the service, read from its metrics port inside the container."""
        read = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9090/metrics').read().decode())"
        text = self.inside("veil", "/opt/venv/bin/python", "-c", read).stdout
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        if found is None:
            raise LookupError(name)
        return float(found[1])

    def logs(self, service: str) -> str:
        """Both streams of everything that a container wrote since it was created."""
        done = podman("logs", self.container(service), check=False)
        return done.stdout + done.stderr

    def down(self, *, volumes: bool = False) -> None:
        self.compose("down", *(["--volumes"] if volumes else []))
