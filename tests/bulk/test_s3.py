"""`veil run` between buckets of an S3-compatible server that runs as a process of its own."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs

from tests.bulk.trees_of_pictures import OPTIONS, environ, finished, small, veil
from tests.service_process import ROOT, _die_with_parent

SERVER = ROOT / ".cache" / "s3" / "bin" / "moto_server"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SERVER.exists(), reason="no S3-compatible server; `requirements/tools.sh s3` installs one"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment that leads S3 clients to an empty server."""
    log = tmp_path / "s3.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [SERVER, "-H", "127.0.0.1", "-p", "0"],
            stdout=file,
            stderr=file,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call, no Python state
        )
    with process:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"Running on (http://\S+)", log.read_text())):
            assert time.monotonic() < deadline
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield {
            "AWS_ENDPOINT_URL": found[1],
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        process.kill()


def test_a_prefix_is_mirrored_and_resumed(
    tmp_path: Path, store: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    s3: Any = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], skip_instance_cache=True)
    for bucket in ("intake", "anonymized"):
        s3.mkdir(bucket)
    originals = {f"2026/{i % 2}/{i}.jpg": small(i) for i in range(4)}
    for path, data in originals.items():
        s3.pipe_file(f"intake/{path}", data)
    s3.pipe_file("intake/2026/broken.jpg", b"no picture")
    arguments = ("run", "s3://intake/2026", "s3://anonymized/new", "--state", tmp_path / "state", *OPTIONS)
    code, text = finished(veil(environ(tmp_path, **store), *arguments))
    assert code == 1, text
    results = {name.removeprefix("anonymized/new/"): s3.cat_file(name) for name in s3.find("anonymized")}
    assert set(results) == {path.removeprefix("2026/") for path in originals}
    assert all(data[:2] == b"\xff\xd8" and data != originals[f"2026/{path}"] for path, data in results.items())

    s3.rm("anonymized/new/0/0.jpg")
    s3.pipe_file("intake/2026/broken.jpg", small(9))
    code, text = finished(veil(environ(tmp_path, **store), *arguments, "--resume"))
    assert code == 0, text
    assert "2 anonymized, 3 were there" in text
    s3.invalidate_cache()
    again = {name.removeprefix("anonymized/new/"): s3.cat_file(name) for name in s3.find("anonymized")}
    assert set(again) == {*results, "broken.jpg"}
    assert {path: again[path] for path in results} == results

    code, text = finished(veil(environ(tmp_path, **store), *arguments[:3], *OPTIONS))
    assert code == 2
    assert "--state" in text
