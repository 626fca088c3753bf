"""TLS by the service itself: certificates change while it runs, and client certificates decide who may come."""

import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509

from tests.e2e.certificates import Authority
from tests.e2e.setups import encoded, portrait
from tests.e2e.test_load_and_leaving import metric, wait_for
from tests.service_process import ROOT, ServiceProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PROBE = ROOT / "deploy" / "probe.py"
Start = Callable[..., ServiceProcess]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path / "authority", "one")


@pytest.fixture
def start(tmp_path: Path, authority: Authority, request: pytest.FixtureRequest) -> Start:
    """Starts a service with a certificate of `authority`, in files that the test may replace."""

    def started(**environ: str) -> ServiceProcess:
        put(tmp_path, *authority.issue("first"))
        service = ServiceProcess(
            tmp_path,
            {
                "VEIL_TLS__CERTIFICATE": str(tmp_path / "tls.pem"),
                "VEIL_TLS__KEY": str(tmp_path / "tls.key"),
                "VEIL_TLS__RELOAD_SECONDS": "0.2",
                **environ,
            },
        )
        request.addfinalizer(service.kill)
        return service.start()

    return started


def put(folder: Path, certificate: Path, key: Path) -> None:
    """Each file whole, one after the other, as a renewal does."""
    for source, name in ((certificate, "tls.pem"), (key, "tls.key")):
        shutil.copy(source, folder / f".{name}")
        (folder / f".{name}").replace(folder / name)


def shown(service: ServiceProcess, context: ssl.SSLContext) -> str:
    """The name in the certificate that a new connection gets."""
    address = urlsplit(service.url)
    assert address.hostname
    with (
        socket.create_connection((address.hostname, address.port or 0), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        der = secured.getpeercert(binary_form=True)
        assert der is not None
    name = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    return name.removeprefix("CN=")


def test_a_renewed_certificate_is_served_and_connections_stay(
    start: Start, authority: Authority, tmp_path: Path
) -> None:
    service = start()
    context = authority.trusted()
    body = encoded(portrait(), "JPEG")
    with httpx.Client(base_url=service.url, verify=context, timeout=60) as client:
        done = client.post("/v1/anonymize", content=body, headers={"Content-Type": "image/jpeg"})
        assert done.status_code == 200, done.text
        stream = done.extensions["network_stream"]
        assert shown(service, context) == "first"
        soon = metric(service, "veil_tls_certificate_expiry_timestamp_seconds")
        put(tmp_path, *authority.issue("second", days=2))
        wait_for(lambda: shown(service, context) == "second")
        assert metric(service, "veil_tls_certificate_expiry_timestamp_seconds") > soon + 3600
        again = client.post("/v1/anonymize", content=body, headers={"Content-Type": "image/jpeg"})
        assert again.status_code == 200
        assert again.extensions["network_stream"] is stream, "the old connection was given up"
    assert "tls-reloaded" in service.text()


def test_files_that_do_not_belong_together_change_nothing(start: Start, authority: Authority, tmp_path: Path) -> None:
    service = start()
    certificate, key = authority.issue("second")
    shutil.copy(certificate, tmp_path / "tls.pem")
    wait_for(lambda: "tls-not-reloaded" in service.text())
    assert shown(service, authority.trusted()) == "first"
    (tmp_path / "tls.pem").unlink()
    put(tmp_path, certificate, key)
    wait_for(lambda: shown(service, authority.trusted()) == "second")


def test_only_clients_with_a_certificate_may_come(start: Start, authority: Authority, tmp_path: Path) -> None:
    clients, later = Authority.make(tmp_path / "clients", "clients"), Authority.make(tmp_path / "later", "later")
    shutil.copy(clients.file, tmp_path / "ca.pem")
    service = start(VEIL_TLS__CLIENT_CA=str(tmp_path / "ca.pem"))
    known, stranger = (authority.trusted(each.issue("client")) for each in (clients, later))

    def may(context: ssl.SSLContext) -> bool:
        try:
            return httpx.get(f"{service.url}/livez", verify=context, timeout=10).status_code == 200
        except (httpx.TransportError, ssl.SSLError):
            return False

    assert may(known)
    assert not may(stranger)
    assert not may(authority.trusted())
    shutil.copy(later.file, tmp_path / "ca.pem")
    wait_for(lambda: may(stranger))
    assert not may(known), "an authority that was taken out lets nobody in any more"


def test_old_protocols_and_plain_http_are_refused(start: Start, authority: Authority) -> None:
    service = start()
    with pytest.raises(httpx.TransportError):
        httpx.get(service.url.replace("https:", "http:") + "/livez", timeout=10)
    old = authority.trusted()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        shown(service, old)
    modern = authority.trusted()
    modern.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shown(service, modern) == "first"


@pytest.mark.parametrize("client_ca", [False, True])
def test_the_images_probe_needs_no_certificate(
    start: Start, authority: Authority, tmp_path: Path, client_ca: bool
) -> None:
    service = start(**({"VEIL_TLS__CLIENT_CA": str(authority.file)} if client_ca else {}))
    ports = {
        "VEIL_SERVER__PORT": str(urlsplit(service.url).port),
        "VEIL_SERVER__METRICS_PORT": str(urlsplit(service.metrics_url).port),
    }
    command = [sys.executable, "-I", "-S", str(PROBE), "/readyz"]
    probe = subprocess.run(command, env=service.environ | ports, capture_output=True, text=True, check=False)
    assert probe.returncode == 0, probe.stdout
    assert '"ready"' in probe.stdout


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"VEIL_TLS__CERTIFICATE": "/nowhere"}, "needs both"),
        ({"VEIL_TLS__CLIENT_CA": "/nowhere"}, "needs both"),
        ({"VEIL_TLS__CERTIFICATE": "/nowhere", "VEIL_TLS__KEY": "/nowhere"}, "No such file"),
    ],
)
def test_a_start_without_its_files_says_so(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    service = ServiceProcess(tmp_path, environ)
    with pytest.raises(RuntimeError, match=says):
        service.start()
