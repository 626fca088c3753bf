"""`veil serve` as a real process on free ports, for end-to-end tests and benchmarks."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 40.0


def _die_with_parent() -> None:
    ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL)


class ServiceProcess:
    """One service. `folder` takes the log and, unless `environ` says otherwise, the SQLite file.

    `prefix` is a command that runs it, e.g. `prlimit --fsize=1000`.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.prefix = tuple(prefix)
        self.log = folder / "service.log"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "VEIL_SERVER__PORT": "0",
            "VEIL_SERVER__METRICS_PORT": "0",
            "VEIL_MODELS__REPOSITORY": str(ROOT / "model_repository"),
            "VEIL_DATABASE__URL": f"sqlite:///{folder / 'veil.db'}",
            **(environ or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.metrics_url = ""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "service", *arguments]

    def run(self, *arguments: str, timeout: float = 60, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`veil ARGUMENTS` with this service's environment, to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd or self.folder,
            check=False,
        )

    def start(self, *, ready: bool = True) -> Self:
        """Starts and waits until it answers (`ready`: until it says that it is ready)."""
        already = len(self.text())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *self.command("serve")],
                env=self.environ,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call, no Python state
            )
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended with {self.process.returncode}:\n{self.text()[already:]}")
            said = self.text()[already:]
            found = re.search(r"Veil listens on (https?://\S+) ", said)
            if found:
                self.url = found[1]
                metrics = re.search(r"Metrics on (http://\S+)\n", said[: found.start()])
                self.metrics_url = metrics[1] if metrics else ""
                if self._answers("/readyz" if ready else "/livez"):
                    return self
            time.sleep(0.02)
        self.kill()
        raise TimeoutError(f"not ready within {START_TIMEOUT} s:\n{self.text()[already:]}")

    def _answers(self, path: str) -> bool:
        try:
            # Probes have no certificate: with TLS they ask the port for operators.
            plain = self.url if self.url.startswith("http:") else self.metrics_url.removesuffix("/metrics")
            return httpx.get(plain + path, timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def text(self) -> str:
        """Everything that it logged and printed."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    @property
    def usage(self) -> psutil.Process:
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def peak_bytes(self) -> int:
        """Highest resident memory since the start or the last `reset_peak`."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def reset_peak(self) -> None:
        assert self.process is not None
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM, then the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
