"""A real tritonserver as a process: the one that the wheel `nvidia-pytriton` carries (`tests/triton/install.sh`).

Triton 2.51 with the python backend only, older than the security fixes of 25.07: on loopback, for tests, never shipped.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ROOT / ".cache" / "triton"
LIBPYTHON = ROOT / ".cache" / "libpython"
START_TIMEOUT = 60.0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _die_with_parent() -> None:
    ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL)


class TritonProcess:
    """One server for the models in `repository`; `folder` takes its log and backend.

    It keeps its ports over restarts. The python backend runs every model in a process of its own (a stub) that outlives
    a killed server and leaves shared memory behind: both go with `kill`.
    """

    def __init__(self, folder: Path, *, repository: Path, arguments: tuple[str, ...] = ("--load-model=*",)) -> None:
        if not (INSTALLED / "installed.txt").exists():
            raise RuntimeError("tritonserver is not installed: run tests/triton/install.sh")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.repository = repository
        self.log = folder / "triton.log"
        self._arguments = arguments
        self._prefix = f"veil-test-{uuid.uuid4().hex[:12]}"
        self._http, self._grpc, self._metrics = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self._backends = folder / "backends"
        self._install_backend()

    @property
    def url(self) -> str:
        """host:port of gRPC."""
        return f"127.0.0.1:{self._grpc}"

    @property
    def metrics(self) -> str:
        """host:port of the Prometheus metrics."""
        return f"127.0.0.1:{self._metrics}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Starts and waits until every model that is loaded at start is ready. Raises RuntimeError with the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                env=self._environ(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call, no Python state
            )
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._http}/v2/health/ready", timeout=1):
                    return self
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"tritonserver did not get ready:\n{self.text()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL to the server and its stubs; nothing of them stays."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        for leftover in Path("/dev/shm").glob(f"{self._prefix}*"):
            leftover.unlink(missing_ok=True)

    def pause(self) -> None:
        """SIGSTOP: the server's sockets stay open, and nothing answers."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def text(self) -> str:
        """Everything that it logged."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _install_backend(self) -> None:
        """The python backend with the stub of the interpreter's version beside it, where Triton looks for it."""
        target = self._backends / "python"
        if target.exists():
            return
        server = INSTALLED / "pytriton" / "tritonserver"
        shutil.copytree(server / "backends" / "python", target)
        version = "{}.{}".format(*sys.version_info)
        stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
        shutil.copy2(stub, target)

    def _command(self) -> list[str]:
        return [
            str(INSTALLED / "pytriton" / "tritonserver" / "bin" / "tritonserver"),
            f"--model-repository={self.repository}",
            f"--backend-directory={self._backends}",
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",
            "--http-address=127.0.0.1",
            f"--http-port={self._http}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self._grpc}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._metrics}",
            "--allow-gpu-metrics=false",
            "--exit-timeout-secs=1",
            f"--backend-config=python,shm-region-prefix-name={self._prefix}",
            "--backend-config=python,stub-timeout-seconds=30",
            *self._arguments,
        ]

    def _environ(self) -> dict[str, str]:
        libraries = [str(INSTALLED / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR"), str(LIBPYTHON)]
        return {
            # The stub runs with the packages of the first python of PATH, and hangs without its shared library.
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "LD_LIBRARY_PATH": ":".join(libraries),
            "HOME": str(self.folder),
        }
