"""A service with keys, exclusions and signatures as a real process, and a headless Chromium before its page."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from service.records.signing import new_private_key
from tests.browser.visitor import AXE, Visitor
from tests.e2e.setups import encoded, portrait
from tests.service_process import ServiceProcess

CHROMIUM = shutil.which("chromium")
SIZE = {"width": 1240, "height": 800}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="package")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of another web server on this machine, with one empty page."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text("<!doctype html><title>viewer</title>", encoding="utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="package")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, elsewhere: int
) -> Iterator[tuple[ServiceProcess, dict[str, str]]]:
    """A service, and a key of each role that was made before its start."""
    environ = {
        "VEIL_ACCESS__KEYS": "true",
        "VEIL_ACCESS__ALLOW_EXCLUDE": "true",
        "VEIL_SIGNING__KEY": new_private_key(),
        "VEIL_CORS__ORIGINS": json.dumps([f"http://127.0.0.1:{elsewhere}"]),
    }
    service = ServiceProcess(tmp_path_factory.mktemp("page"), environ)
    made = service.run("keys", "create", "--name", "admin key", "--role", "admin")
    assert made.returncode == 0, made.stderr
    keys = {"admin": made.stdout.strip()}
    with service, httpx.Client(base_url=service.url, headers={"api-key": keys["admin"]}, timeout=30) as admin:
        for role in ("anonymize", "review"):
            answer = admin.post("/v1/keys", json={"name": f"{role} key", "role": role})
            assert answer.status_code == 201, answer.text
            keys[role] = answer.json()["token"]
        yield service, keys


@pytest.fixture(scope="package")
def service(guarded: tuple[ServiceProcess, dict[str, str]]) -> ServiceProcess:
    return guarded[0]


@pytest.fixture(scope="package")
def keys(guarded: tuple[ServiceProcess, dict[str, str]]) -> dict[str, str]:
    return guarded[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for one file: while Playwright is there, no other test can run an event loop."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: run tests/install-debian.sh")
    with sync_playwright() as playwright:
        # As root there is no sandbox; without a graphics card WebGL is computed.
        arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=SIZE, locale="en-US", timezone_id="UTC")
    yield context
    context.close()


@pytest.fixture
def visitor(context: BrowserContext, service: ServiceProcess) -> Iterator[Visitor]:
    """A visitor whose tab, in the end, has asked nobody but the service and has had no complaint."""
    visitor = Visitor.come(context, service.url)
    yield visitor
    assert visitor.wrong == []
    assert visitor.hosts() <= {service.url.removeprefix("http://")}


@pytest.fixture
def axe() -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not there: run tests/browser/install.sh")


@pytest.fixture(scope="package")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The portrait as a JPEG file of the given name."""
    folder = tmp_path_factory.mktemp("pictures")

    def make(name: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(portrait(), "JPEG"))
        return path

    return make
