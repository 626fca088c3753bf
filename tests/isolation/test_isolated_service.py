"""The service needs no network but its own sockets, and writes no file but its database."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.load import picture
from tests.e2e.setups import encoded
from tests.isolation.namespaces import REASON, no_route_out
from tests.service_process import ROOT, ServiceProcess

pytestmark = pytest.mark.slow
REQUESTS = 1000
CALLS = "open,openat,openat2,creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,mknod,mknodat,"
CALLS += "truncate,memfd_create,connect"
NAMED = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)\) += (-?\d+|\?)")
TO_WRITE = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
HARMLESS = ("/dev/null", "/dev/shm/", "/dev/urandom")


@pytest.mark.timeout(180)
def test_a_picture_without_a_route_out(tmp_path: Path) -> None:
    prefix = no_route_out()
    if prefix is None:
        pytest.skip(REASON)
    command = [*prefix, sys.executable, "-m", "tests.isolation.alone", str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {
        "interfaces": ["lo"],
        "out": "ENETUNREACH",
        "status": 200,
        "hidden": True,
        "doctor": 0,
        "docs_load": [],
        "stopped": 0,
    }


@pytest.mark.timeout(900)
def test_a_thousand_requests_write_nothing_but_the_database(tmp_path: Path) -> None:
    """Every call that opens, makes, moves or links a file, of every thread, and every connection that is made."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace.txt"
    home = tmp_path / "service"
    home.mkdir()
    prefix = (strace, "-D", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "400", "-e", f"trace={CALLS}", "-o", str(trace))
    service = ServiceProcess(home, {"VEIL_DEFAULTS__EFFORT": "fast", "VEIL_ADMISSION__QUEUE": "32"}, prefix)
    with service:
        before = trace.stat().st_size
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda number: send(service, number), range(REQUESTS)))
        with trace.open(encoding="utf-8", errors="replace") as lines:
            lines.seek(before)
            written, connected = judged(lines.read(), home)
        assert service.stop() == 0
    assert statuses.count(200) >= 0.8 * REQUESTS, statuses
    assert min(statuses) >= 200
    assert max(statuses) < 500
    assert written == set(), "files other than the database"
    assert connected == set(), "connections to elsewhere"
    assert {each.name for each in home.iterdir()} <= {"service.log", "veil.db", "veil.db-wal", "veil.db-shm"}
    log = service.text()
    assert "Traceback" not in log


def send(service: ServiceProcess, number: int) -> int:
    """One of a thousand: pictures in many formats and sizes, some with a face, broken ones, searches, records."""
    match number % 10:
        case 0:
            sent = picture(320, 256, ("JPEG", "PNG", "WEBP", "TIFF")[number // 10 % 4], (256,))
            verify = "structure" if number % 250 else "redetect"  # the latter in each of the formats
            return post(service, sent.content, sent.media, "/v1/anonymize", verify=verify)
        case 1:
            sent = picture(320, 256, "JPEG", (256,))
            return post(service, sent.content[: 500 + number], sent.media, "/v1/anonymize")
        case 2:
            return httpx.get(f"{service.url}/v1/receipts", params={"limit": 5}, timeout=60).status_code
        case 3:
            return post(service, plain("JPEG", 0), "image/jpeg", "/v1/detect")
        case _:
            container = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")[number % 5]
            options = {"metadata": "keep"} if number % 2 else {"format": "png"}
            return post(service, plain(container, number % 7), "", "/v1/anonymize", **options)


def post(service: ServiceProcess, body: bytes, media: str, path: str, **options: str) -> int:
    """As a form every other time, which other servers spool to the disk."""
    if len(body) % 2:
        files = {"image": ("a picture", body, media or "image/jpeg")}
        return httpx.post(service.url + path, params=options, files=files, timeout=120).status_code
    headers = {"Content-Type": media or "application/octet-stream"}
    return httpx.post(service.url + path, params=options, content=body, headers=headers, timeout=120).status_code


def plain(container: str, shade: int) -> bytes:
    """A picture that shows nothing, and is done with quickly; over 1 MB as BMP.

    Its gray is close to that which fills up the tile: else their border would be something to search.
    """
    return encoded(np.full((600, 640, 3), 108 + shade, np.uint8), container)


def judged(trace: str, home: Path) -> tuple[set[str], set[str]]:
    """What was opened for writing or made beside the database, and addresses that were connected to."""
    written, connected = set(), set()
    for line in trace.splitlines():
        found = NAMED.match(line)
        if found is None or found[3].startswith("-"):
            continue
        call, arguments = found[1], found[2]
        if call == "connect":
            connected.add(arguments)
        elif call.startswith("open") and not TO_WRITE.search(arguments):
            continue
        else:
            paths = re.findall(r'"([^"]*)"', arguments)
            path = paths[-1] if paths else arguments
            if not path.startswith((str(home / "veil.db"), *HARMLESS)):
                written.add(f"{call}({arguments})")
    return written, connected
