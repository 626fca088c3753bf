"""Veil with Triton and PostgreSQL as real processes, on one machine or in network namespaces of their own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.network import Network
from service.models.catalog import Catalog
from service.models.export import export_repository
from tests.postgres.server import PostgresProcess
from tests.service_process import ROOT, ServiceProcess
from tests.triton.server import TritonProcess

WORKERS, QUEUE = 2, 6


@dataclass
class Stage:
    """The parts of one scenario; `network` only where they have namespaces. `key`: for the service, if it needs one."""

    folder: Path
    service: ServiceProcess
    triton: TritonProcess | None = None
    postgres: PostgresProcess | None = None
    network: Network | None = None
    key: str | None = None

    def start_service(self) -> float:
        """Starts it; the moment from which it listens."""
        if self.network is None:
            self.service.start(ready=False)
        else:
            with self.network.inside("service"):
                self.service.start(ready=False)
        return time.monotonic()

    def start_postgres(self) -> float:
        assert self.postgres is not None
        if self.network is None:
            self.postgres.start()
        else:
            with self.network.inside("database"):
                self.postgres.start()
        return time.monotonic()


@contextmanager
def alone(environ: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """Veil with the embedded engine and SQLite."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stage = Stage(folder, _service(folder, environ or {}))
        stack.callback(stage.service.kill)
        stage.service.start()
        yield stage


@contextmanager
def distributed(
    environ: Mapping[str, str] | None = None, *, cuttable: bool = False, prefix: tuple[str, ...] = ()
) -> Iterator[Stage]:
    """Veil with Triton and PostgreSQL; `cuttable`: each in a network namespace of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        repository = folder / "models"
        export_repository(Catalog.read(ROOT / "model_repository"), repository, "python")
        network = stack.enter_context(Network("service", "database", "triton")) if cuttable else None
        listen = ("--grpc-address=0.0.0.0",) if cuttable else ()
        triton = TritonProcess(folder / "triton", repository=repository, arguments=("--load-model=*", *listen))
        stack.callback(triton.kill)
        postgres = stack.enter_context(PostgresProcess())
        url = postgres.create_database("faults")
        settings = {
            "VEIL_DETECTION__ENGINE": "triton",
            "VEIL_DETECTION__TRITON_URL": triton.url,
            "VEIL_DATABASE__URL": url,
            **(environ or {}),
        }
        if network is None:
            triton.start()
            stage = Stage(folder, _service(folder, settings, prefix), triton, postgres)
        else:
            settings["VEIL_DETECTION__TRITON_URL"] = triton.url.replace("127.0.0.1", network.address["triton"])
            settings["VEIL_DATABASE__URL"] = url.replace("127.0.0.1", network.address["database"])
            settings["VEIL_SERVER__HOST"] = network.address["service"]
            stage = Stage(folder, _service(folder, settings, prefix), triton, postgres, network)
            _open_to_network(postgres)
            stage.start_postgres()
            with network.inside("triton"):
                triton.start()
            with network.inside("service"):
                made = stage.service.run("keys", "create", "--name", "load", "--role", "admin")
            stage.key = made.stdout.split()[-1]
        stack.callback(stage.service.kill)
        stage.start_service()
        _until_ready(stage)
        yield stage


def _service(folder: Path, environ: Mapping[str, str], prefix: tuple[str, ...] = ()) -> ServiceProcess:
    """On a port that stays over restarts."""
    place = folder / "service"
    place.mkdir()
    settings = {
        "VEIL_SERVER__PORT": str(_free_port()),
        "VEIL_ADMISSION__WORKERS": str(WORKERS),
        "VEIL_ADMISSION__QUEUE": str(QUEUE),
        "VEIL_DEFAULTS__EFFORT": "fast",
        **environ,
    }
    return ServiceProcess(place, settings, prefix)


def _until_ready(stage: Stage, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not stage.service._answers("/readyz"):
        if time.monotonic() > deadline:
            raise TimeoutError(stage.service.text()[-3000:])
        time.sleep(0.05)


def _open_to_network(postgres: PostgresProcess) -> None:
    postgres.stop(immediate=False)
    with (postgres.data / "postgresql.conf").open("a", encoding="ascii") as settings:
        settings.write("listen_addresses = '*'\n")
    with (postgres.data / "pg_hba.conf").open("a", encoding="ascii") as access:
        access.write("host all all 10.0.0.0/8 scram-sha-256\n")


@contextmanager
def small_disk(place: Path, mebibytes: int, owner: int = 0) -> Iterator[Path]:
    """A file system of that size at `place`. Needs root."""
    place.mkdir()
    options = f"size={mebibytes}m,uid={owner},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(path: Path) -> None:
    """Writes to `path` until the disk has no room left."""
    for size in (1024 * 1024, 4096):
        with path.open("ab", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


def move_data(postgres: PostgresProcess, disk: Path) -> None:
    """Stops the server and puts its data on `disk`."""
    postgres.stop(immediate=False)
    owner = postgres.data.stat()
    place = disk / "data"
    shutil.copytree(postgres.data, place)
    for path in (place, *place.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    place.chmod(0o700)
    postgres.data = place


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def temporary() -> "tempfile.TemporaryDirectory[str]":
    """A folder that other users may enter."""
    made = tempfile.TemporaryDirectory()
    Path(made.name).chmod(0o755)
    return made
