"""A small network of namespaces, whose links can be cut: one bridge, one namespace for each part. Needs root."""

import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NET = "10.213.77"
HOST = f"{NET}.1"
CLONE_NEWNET = 0x40000000


def reason_not() -> str | None:
    """Why networks cannot be made here, None if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "ip (iproute2) is not installed"
    made = subprocess.run(["ip", "netns", "add", f"veil-try-{os.getpid()}"], capture_output=True, check=False)
    if made.returncode == 0:
        _ip("netns", "delete", f"veil-try-{os.getpid()}")
    return None if made.returncode == 0 else "network namespaces are not permitted here"


_NUMBERS = itertools.count()


class Network:
    """Namespaces with an address each; the process itself stays where it is, at `HOST`."""

    def __init__(self, *parts: str) -> None:
        # Links of the network before may take a moment to go.
        self._tag = f"{os.getpid() % 0xFFFF:x}{next(_NUMBERS) % 16:x}"
        self._parts = parts
        self.address = {part: f"{NET}.{number}" for number, part in enumerate(parts, 2)}

    def namespace(self, part: str) -> str:
        return f"veil-{self._tag}-{part}"

    def cut(self, part: str) -> None:
        """Nothing from or to `part` arrives anymore, and nobody is told."""
        _ip("link", "set", self._link(part), "nomaster")

    def mend(self, part: str) -> None:
        _ip("link", "set", self._link(part), "master", self._bridge)

    @contextmanager
    def inside(self, part: str) -> Iterator[None]:
        """Processes that this thread starts in the block are in the namespace of `part`."""
        with (
            Path("/proc/thread-self/ns/net").open() as outside,
            Path(f"/run/netns/{self.namespace(part)}").open() as own,
        ):
            _setns(own.fileno())
            try:
                yield
            finally:
                _setns(outside.fileno())

    def __enter__(self) -> "Network":
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self) -> None:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{HOST}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for part in self._parts:
            space = self.namespace(part)
            _ip("netns", "add", space)
            _ip("link", "add", self._link(part), "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", self._link(part), "master", self._bridge, "up")
            _ip("-n", space, "address", "add", f"{self.address[part]}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")

    def __exit__(self, *_: object) -> None:
        for part in self._parts:
            subprocess.run(["ip", "netns", "delete", self.namespace(part)], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", self._bridge], capture_output=True, check=False)

    @property
    def _bridge(self) -> str:
        return f"veil{self._tag}"

    def _link(self, part: str) -> str:
        return f"v{self._tag}{part[:6]}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _setns(descriptor: int) -> None:
    if ctypes.CDLL("libc.so.6", use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
