"""`veil run` on a Ray cluster of several processes, of which one is killed in the middle."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.bulk.trees_of_pictures import OPTIONS, content, environ, finished, plant, veil
from tests.service_process import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("ray", path=Path(sys.executable).parent) is None, reason="Ray is not installed"),
]

PICTURES = 60
"""So many that the second worker is there before the first has done all of them."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster of one machine with room for two workers; its files lie in `tmp_path / "ray"`.

    By way of a link: the names of Ray's sockets must be short.
    """
    (tmp_path / "ray").mkdir()
    short = Path(tempfile.mkdtemp(prefix="ray")) / "r"
    short.symlink_to(tmp_path / "ray")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--num-cpus=2"]
    command += ["--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false", "--min-worker-port=0"]
    command += ["--max-worker-port=0", "--object-store-memory=100000000", f"--temp-dir={short}"]
    with (tmp_path / "ray.log").open("wb") as log:
        head = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
    address = f"127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in (tmp_path / "ray.log").read_text():
            assert head.poll() is None, (tmp_path / "ray.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "ray.log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        with suppress(psutil.NoSuchProcess):
            for each in [*psutil.Process(head.pid).children(recursive=True), psutil.Process(head.pid)]:
                each.kill()
        head.wait()
        shutil.rmtree(short.parent)


def test_the_work_is_shared_and_a_killed_worker_costs_nothing(
    tmp_path: Path, cluster: str, new_postgres_url: Callable[[], str]
) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    plant(source, PICTURES)
    (source / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    env = environ(tmp_path, VEIL_DATABASE__URL=new_postgres_url())
    process = veil(env, "run", source, output, "--ray", cluster, "--cores", "1", "-j", "2", *OPTIONS)
    _until(process, lambda: len(content(output)) >= 3 and len(_workers()) >= 2)  # ends only if the work is shared
    _workers()[0].kill()
    code, text = finished(process, timeout=200)
    assert code == 1, text
    assert "broken.jpg" in text
    results = content(output)
    assert sorted(results) == sorted(path for path in content(source) if path != "broken.jpg")
    report = json.loads((output / ".veil" / "report.json").read_text())
    assert (report["anonymized"], report["failures"]) == (PICTURES, {"unsupported-format": 1})
    assert report["settings"]["engine"] == "ray"
    hidden = [f for f in output.rglob(".*") if f.is_file() and f.parent.name != ".veil"]
    assert hidden == [], "a lost worker's results are swept"
    assert _traces(tmp_path / "ray", [b"\xff\xd8\xff"]) == [], "pixels passed through Ray's files"

    code, text = finished(veil(env, "run", source, tmp_path / "alone", "--include", "day0/*", *OPTIONS))
    assert code == 0, text
    alone = content(tmp_path / "alone")
    assert alone
    assert alone == {path: data for path, data in results.items() if path in alone}


def test_what_the_cluster_needs_is_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    code, text = finished(veil(environ(tmp_path), "run", tmp_path / "in", tmp_path / "out", "--ray", "127.0.0.1:1"))
    assert code == 2
    assert "VEIL_DATABASE__URL" in text


def _workers() -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if _is_worker(each)]


def _is_worker(process: psutil.Process) -> bool:
    line = process.info["cmdline"] or [""]
    return line[0].startswith("ray::") and "Map" in line[0]


def _until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _traces(folder: Path, signatures: list[bytes]) -> list[Path]:
    """Files below `folder` that hold any of `signatures`."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    return [file for file in files if any(each in file.read_bytes() for each in signatures)]
