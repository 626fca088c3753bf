"""A real Caddy with a configuration of `deploy/proxy`, before services that a test started."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.deploy.compose_files import ROOT
from tests.e2e.certificates import Authority
from tests.e2e.test_load_and_leaving import wait_for

CADDY = shutil.which("caddy")
REASON = "needs caddy; on Debian: apt install caddy"


@dataclass(frozen=True)
class Proxy:
    """Its address, what trusts it, and what it wrote."""

    url: str
    context: ssl.SSLContext
    log: Path


@contextmanager
def caddy(folder: Path, configuration: str, **environ: str) -> Iterator[Proxy]:
    """Runs until the block ends; `environ` has the variables of `deploy/proxy/<configuration>`."""
    authority = Authority.make(folder / "authority", "proxy")
    certificate, key = authority.issue("site")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    proxy = Proxy(f"https://localhost:{port}", authority.trusted(), folder / "proxy.log")
    command = [str(CADDY), "run", "--config", str(ROOT / "deploy/proxy" / configuration), "--adapter", "caddyfile"]
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "SITE": "localhost",
        "PORT": str(port),
        "TLS": f"{certificate} {key}",
        **environ,
    }
    with proxy.log.open("wb") as log:
        process = subprocess.Popen(command, env=variables, cwd=folder, stdout=log, stderr=log)

    def up() -> bool:
        assert process.poll() is None, proxy.log.read_text()
        try:
            return httpx.get(f"{proxy.url}/livez", verify=proxy.context).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(up)
        yield proxy
    finally:
        process.terminate()
        process.wait(30)
