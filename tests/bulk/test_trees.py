"""`veil run` as a process: mirrored trees, failures, reports, and interruptions of every kind."""

import json
import random
import signal
import time
from pathlib import Path

import pytest

from tests.bulk.trees_of_pictures import OPTIONS, content, environ, finished, plant, veil
from tests.service_process import ServiceProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "in"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_tree_is_mirrored_and_reported(tmp_path: Path, source: Path, output: Path) -> None:
    paths = plant(source, 5)
    (source / "broken <b>.jpg").write_bytes(b"\xff\xd8 no picture")
    (source / "notes.txt").write_text("not a picture")
    (source / ".hidden.jpg").write_bytes(b"hidden")
    env = environ(tmp_path)
    code, text = finished(veil(env, "run", source, output, *OPTIONS, "--exclude", "day2/*"))
    assert code == 1, text
    assert "failed: broken <b>.jpg" in text
    expected = [p for p in paths if not p.startswith("day2/")]
    results = content(output)
    assert sorted(results) == expected
    assert all(results[p][:2] == b"\xff\xd8" and results[p] != (source / p).read_bytes() for p in expected)

    report = json.loads((output / ".veil" / "report.json").read_text())
    assert (report["pictures"], report["anonymized"], report["failed"]) == (len(expected) + 1, len(expected), 1)
    assert report["failures"] == {"unsupported-format": 1}
    assert report["hidden"]["face"] == len(expected)
    assert all(each["receipt"] for each in report["results"])
    page = (output / ".veil" / "report.html").read_text()
    assert "broken &lt;b&gt;.jpg" in page
    assert "http" not in page

    code, text = finished(veil(env, "run", source, output, *OPTIONS))
    assert code == 2, text
    assert "--resume" in text
    code, text = finished(veil(env, "run", source, output, *OPTIONS, "-s", "obscure=fill", "--resume"))
    assert code == 2, text
    assert "another options, policy" in text


def test_nothing_that_is_there_is_overwritten(tmp_path: Path, source: Path, output: Path) -> None:
    plant(source, 2)
    (source / "day0" / "street 000.png").write_bytes((source / "day0" / "street 000.jpg").read_bytes())
    (output / "day1").mkdir(parents=True)
    (output / "day1" / "street 001.webp").write_bytes(b"precious")
    code, text = finished(veil(environ(tmp_path), "run", source, output, *OPTIONS, "-s", "format=webp"))
    assert code == 1, text
    results = content(output)
    assert results.pop("day1/street 001.webp") == b"precious"
    assert set(results) == {"day0/street 000.webp"}
    report = json.loads((output / ".veil" / "report.json").read_text())
    assert report["failures"] == {"same-name": 1, "exists": 1}
    code, text = finished(veil(environ(tmp_path), "run", source, source, *OPTIONS))
    assert code == 2
    assert "never overwritten" in text


@pytest.mark.timeout(300)
def test_a_run_that_is_killed_ten_times_ends_complete_and_equal(tmp_path: Path, source: Path, output: Path) -> None:
    """Killed at random moments; then: every result there, each as an undisturbed run makes it, none made twice."""
    plant(source, 60)
    env = environ(tmp_path)
    chance = random.Random(7)
    arguments = ("run", source, output, *OPTIONS, "--resume")
    killed, seen = 0, []
    for _ in range(10):
        process = veil(env, *arguments)
        _wait_for_more(output, len(content(output)), process)
        time.sleep(chance.uniform(0, 0.4))
        killed += process.poll() is None
        process.kill()
        finished(process)
        seen.append(len(content(output)))
    assert killed >= 8, "the run ended before it could be killed: plant more pictures"
    assert seen == sorted(seen)
    code, text = finished(veil(env, *arguments))
    assert code == 0, text

    code, text = finished(veil(env, "run", source, tmp_path / "undisturbed", *OPTIONS))
    assert code == 0, text
    assert content(output) == content(tmp_path / "undisturbed")
    assert len(content(output)) == 60
    left = [f.name for f in output.rglob("*") if f.is_file() and f.name.startswith(".") and f.parent.name != ".veil"]
    assert left == [], "nothing half-written is left"
    lines = [json.loads(line) for line in (output / ".veil" / "journal.ndjson").read_text().splitlines()[1:]]
    assert sorted(line["path"] for line in lines) == sorted(content(source)), "each picture was recorded once"


def test_a_polite_interruption_finishes_what_is_under_way(tmp_path: Path, source: Path, output: Path) -> None:
    plant(source, 40)
    env = environ(tmp_path)
    process = veil(env, "run", source, output, *OPTIONS)
    _wait_for_more(output, 0, process)
    process.send_signal(signal.SIGTERM)
    code, text = finished(process)
    assert code == 3, text
    assert "go on with --resume" in text
    report = json.loads((output / ".veil" / "report.json").read_text())
    assert report["anonymized"] == len(content(output)) < 40
    code, text = finished(veil(env, "run", source, output, *OPTIONS, "--resume"))
    assert code == 0, text
    assert len(content(output)) == 40


def test_servers_do_the_work_and_their_loss_stops_the_run(tmp_path: Path, source: Path, output: Path) -> None:
    plant(source, 12)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with ServiceProcess(tmp_path / "one") as one, ServiceProcess(tmp_path / "two") as two:
        arguments = ("--server", one.url, "--server", two.url, "-j", "4", *OPTIONS)
        code, text = finished(veil(environ(tmp_path), "run", source, output, *arguments))
        assert code == 0, text
        receipts = {each["receipt"] for each in json.loads((output / ".veil" / "report.json").read_text())["results"]}
        assert len(receipts) == 12
    assert sorted(content(output)) == sorted(content(source))
    assert not (tmp_path / "veil.db").exists(), "the work was done by the servers only"
    code, text = finished(veil(environ(tmp_path), "run", source, tmp_path / "none", *arguments))
    assert code == 2
    assert "servers cannot be used" in text or "No server answers" in text
    assert content(tmp_path / "none") == {}


def _wait_for_more(output: Path, before: int, process: object) -> None:
    deadline = time.monotonic() + 40
    while len(content(output)) <= before and time.monotonic() < deadline and process.poll() is None:  # type: ignore[attr-defined]
        time.sleep(0.02)
