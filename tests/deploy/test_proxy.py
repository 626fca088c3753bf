"""deploy/proxy/Caddyfile with a real Caddy before a real service: pictures go through, and nothing is kept."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.deploy.compose_files import ROOT, Reset, load
from tests.e2e.certificates import Authority
from tests.e2e.setups import encoded, portrait
from tests.e2e.test_load_and_leaving import wait_for
from tests.service_process import ServiceProcess

CADDY = shutil.which("caddy")
COMPOSE = ROOT / "deploy" / "compose.proxy.yml"


def test_the_proxy_is_held_down_and_the_only_one_that_is_published() -> None:
    services = load(COMPOSE)["services"]
    proxy = services["proxy"]
    assert proxy["read_only"] is True
    assert proxy["cap_drop"] == ["ALL"]
    assert proxy["security_opt"] == ["no-new-privileges:true"]
    assert proxy["mem_limit"]
    assert proxy["pids_limit"]
    assert proxy["networks"] == ["edge"]
    assert isinstance(services["veil"]["ports"], Reset)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext, ServiceProcess]]:
    """Its address, what trusts it, and the service behind it."""
    authority = Authority.make(tmp_path / "authority", "proxy")
    certificate, key = authority.issue("site")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "service").mkdir()
    with ServiceProcess(tmp_path / "service") as service:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path / "home"),
            "SITE": "localhost",
            "PORT": str(port),
            "TLS": f"{certificate} {key}",
            "UPSTREAM": urlsplit(service.url).netloc,
        }
        command = [str(CADDY), "run", "--config", str(ROOT / "deploy/proxy/Caddyfile"), "--adapter", "caddyfile"]
        with (tmp_path / "proxy.log").open("wb") as log:
            process = subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=log, stderr=log)
        try:
            url, context = f"https://localhost:{port}", authority.trusted()

            def up() -> bool:
                assert process.poll() is None, (tmp_path / "proxy.log").read_text()
                try:
                    return httpx.get(f"{url}/livez", verify=context).status_code == 200
                except httpx.TransportError:
                    return False

            wait_for(up)
            yield url, context, service
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(CADDY is None, reason="needs caddy; on Debian: apt install caddy")
def test_a_picture_goes_through_and_leaves_nothing(
    proxy: tuple[str, ssl.SSLContext, ServiceProcess], tmp_path: Path
) -> None:
    url, context, service = proxy
    body = encoded(portrait(), "PNG")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with httpx.Client(base_url=url, verify=context, timeout=60) as client:
        done = client.post(
            "/v1/anonymize", content=body, headers={"Content-Type": "image/png"}, params={"source_ref": "run-7"}
        )
        assert done.status_code == 200, done.text
        direct = httpx.get(f"{service.url}/v1/receipts/{done.headers['veil-receipt']}", timeout=10).json()
        assert direct["output"]["bytes"] == len(done.content)
        assert client.post("/v1/anonymize", content=b"", headers={"Content-Type": "image/png"}).status_code == 422
    added = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path.name.partition("-")[0] for path in added} <= {"veil.db"}
    written = (tmp_path / "proxy.log").read_text()
    assert "run-7" not in written
    assert "127.0.0.1" not in written
