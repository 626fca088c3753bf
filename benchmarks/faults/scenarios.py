"""The faults. Each scenario prepares its parts, breaks one of them under load, and puts it back."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.faults import network, stage
from benchmarks.faults.stage import Stage, alone, distributed, fill, move_data, small_disk

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
SLOW_HEADS, SLOW_BODIES = 300, 4


@dataclass(frozen=True)
class Fault:
    """`strike` breaks something; `heal` puts it back and gives the moment (time.monotonic) from which it is back."""

    stage: Stage
    strike: Callable[[], object]
    heal: Callable[[], float]
    answers_meanwhile: bool = False


Scenario = Callable[[], "contextmanager[Fault]"]


def now(done: object = None) -> float:  # noqa: ARG001 - what was done before
    return time.monotonic()


@contextmanager
def service_killed() -> Iterator[Fault]:
    """SIGKILL of the service; it is back once the new process listens."""
    with distributed() as parts:
        yield Fault(parts, parts.service.kill, parts.start_service)


@contextmanager
def triton_killed() -> Iterator[Fault]:
    """SIGKILL of tritonserver and its backends; it is back once its own health check says so."""
    with distributed() as parts:
        assert parts.triton is not None
        yield Fault(parts, parts.triton.kill, lambda: now(parts.triton and parts.triton.start()))


@contextmanager
def postgresql_killed() -> Iterator[Fault]:
    """SIGKILL of PostgreSQL and all its processes; it is back once it takes connections."""
    with distributed() as parts:
        assert parts.postgres is not None
        yield Fault(parts, parts.postgres.kill, parts.start_postgres)


def link_cut(part: str) -> Scenario:
    """The network between the service (or the caller) and `part` swallows everything; back once the link is."""

    @contextmanager
    def scenario() -> Iterator[Fault]:
        with distributed({"VEIL_DATABASE__TIMEOUT": "2", "VEIL_DETECTION__TIMEOUT": "5"}, cuttable=True) as parts:
            links = parts.network
            assert links is not None
            yield Fault(parts, lambda: links.cut(part), lambda: now(links.mend(part)))

    return scenario


@contextmanager
def disk_full_sqlite() -> Iterator[Fault]:
    """The disk of the SQLite file is full; back once there is room."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(stage.temporary()))
        disk = stack.enter_context(small_disk(folder / "disk", 4))
        parts = stack.enter_context(alone({"VEIL_DATABASE__URL": f"sqlite:///{disk / 'veil.db'}"}))
        filler = disk / "filler"
        yield Fault(parts, lambda: fill(filler), lambda: now(filler.unlink()))


@contextmanager
def disk_full_postgresql() -> Iterator[Fault]:
    """The disk of PostgreSQL is full, which ends it; back once there is room and it takes connections."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(stage.temporary()))
        parts = stack.enter_context(distributed())
        postgres = parts.postgres
        assert postgres is not None
        disk = stack.enter_context(small_disk(folder / "disk", 160, postgres.data.stat().st_uid))
        stack.callback(postgres.stop)
        move_data(postgres, disk)
        postgres.start()
        filler = disk / "filler"

        def strike() -> None:
            # A segment of the write-ahead log has room for minutes: the next one is what does not fit.
            fill(filler)
            for segment in sorted((postgres.data / "pg_wal").glob("0*"))[1:]:
                segment.unlink()
            fill(filler)
            _new_segments(parts)

        def heal() -> float:
            filler.unlink()
            # It may still be on its way down, or up again by itself.
            return now() if postgres.answers() else parts.start_postgres()

        yield Fault(parts, strike, heal)


def _new_segments(parts: Stage) -> None:
    """Asks for the next segment of the log, which is not there and does not fit."""
    import psycopg

    assert parts.postgres is not None
    try:
        with psycopg.connect(parts.postgres.url("postgres"), autocommit=True) as connection:
            for _ in range(3):
                connection.execute("SELECT pg_switch_wal()")
                connection.execute("CREATE TABLE IF NOT EXISTS filler AS SELECT generate_series(1, 200000)")
    except psycopg.Error:
        return


def clock_step(seconds: int) -> Scenario:
    """The service's clock jumps, with no warning, and jumps back."""

    @contextmanager
    def scenario() -> Iterator[Fault]:
        with stage.temporary() as folder:
            offset = Path(folder) / "offset"
            offset.write_text("+0", encoding="ascii")
            environ = {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(offset),
                "FAKETIME_CACHE_DURATION": "1",
                # A step of the clock leaves the monotonic one alone.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
            with alone(environ) as parts:
                step, back = f"{seconds:+d}", "+0"
                yield Fault(
                    parts,
                    lambda: offset.write_text(step, encoding="ascii"),
                    lambda: now(offset.write_text(back, encoding="ascii")),
                    answers_meanwhile=True,
                )

    return scenario


@contextmanager
def slow_loris() -> Iterator[Fault]:
    """Hundreds of heads and half of all places in uploads that trickle; back once the attackers are gone."""
    environ = {"VEIL_SERVER__HEAD_TIMEOUT": "3", "VEIL_SERVER__MAX_CONNECTIONS": "128"}
    with alone(environ) as parts:
        attack = _Attack(parts.service.url)
        yield Fault(parts, attack.start, lambda: now(attack.stop()), answers_meanwhile=True)


class _Attack:
    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._address = (address.hostname or "", address.port or 80)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        head = b"POST /v1/anonymize HTTP/1.1\r\nHost: veil\r\nContent-Type: image/jpeg\r\n"
        kinds = [head] * SLOW_HEADS + [head + b"Content-Length: 1000000\r\n\r\n"] * SLOW_BODIES
        self._threads = [threading.Thread(target=self._one, args=(first,), daemon=True) for first in kinds]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _one(self, first: bytes) -> None:
        """One client that sends a byte now and then, and comes back when it is thrown out."""
        while not self._over.is_set():
            try:
                with socket.create_connection(self._address, timeout=5) as connection:
                    connection.sendall(first)
                    while not self._over.wait(1.0):
                        connection.sendall(b"x")
            except OSError:
                self._over.wait(0.5)


ROOT, CLOCK = "root", "libfaketime"
SCENARIOS: dict[str, tuple[Scenario, frozenset[str]]] = {
    "service killed": (service_killed, frozenset()),
    "tritonserver killed": (triton_killed, frozenset()),
    "PostgreSQL killed": (postgresql_killed, frozenset()),
    "network to PostgreSQL cut": (link_cut("database"), frozenset({ROOT})),
    "network to Triton cut": (link_cut("triton"), frozenset({ROOT})),
    "network to the service cut": (link_cut("service"), frozenset({ROOT})),
    "disk of SQLite full": (disk_full_sqlite, frozenset({ROOT})),
    "disk of PostgreSQL full": (disk_full_postgresql, frozenset({ROOT})),
    "clock a day ahead": (clock_step(86_400), frozenset({CLOCK})),
    "clock a day back": (clock_step(-86_400), frozenset({CLOCK})),
    "slow loris": (slow_loris, frozenset()),
}


def reason_not(name: str) -> str | None:
    """Why a scenario cannot be played here, None if it can."""
    needs = SCENARIOS[name][1]
    if ROOT in needs:
        if os.geteuid() != 0:
            return "needs root"
        if name.startswith("network"):
            return network.reason_not()
    if CLOCK in needs and not FAKETIME.exists():
        return "libfaketime is not installed"
    return None
