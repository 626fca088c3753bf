"""`veil watch` as a process: growing files, several watchers, dead watchers, failures."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.bulk.handover import Claims, Settling, claims
from service.bulk.selection import Selection
from service.bulk.stores import Folder
from tests.bulk.trees_of_pictures import OPTIONS, content, environ, finished, plant, small, veil
from tests.service_process import ServiceProcess

FAST = ("--settle", "0.3", "--interval", "0.1", *OPTIONS)


def test_a_file_is_complete_when_it_has_stopped_changing(tmp_path: Path) -> None:
    settling, folder, every = Settling(5), Folder(tmp_path), Selection()
    growing = tmp_path / "a.jpg"
    growing.write_bytes(b"1")
    (tmp_path / "b.jpg.part").write_bytes(b"1")
    (tmp_path / "empty.jpg").touch()
    assert settling.look(folder, every, 0) == []
    growing.write_bytes(b"12")
    assert settling.look(folder, every, 5) == []
    assert settling.look(folder, every, 9) == []
    assert settling.look(folder, every, 10) == ["a.jpg"]


def test_of_two_watchers_one_gets_a_file_and_the_dead_ones_files_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    with claims(tmp_path) as one, claims(tmp_path) as two:
        assert one.claim("a.jpg") is not None
        assert two.claim("a.jpg") is None
    assert (tmp_path / "a.jpg").read_bytes() == b"a", "what was not finished goes back"
    dead = tmp_path / ".veil" / "claimed" / "dead"
    dead.mkdir(parents=True)
    Claims(tmp_path, dead).claim("a.jpg")
    with claims(tmp_path) as next_one:
        assert next_one.left() == ["a.jpg"]
    assert not dead.exists()


@pytest.mark.slow
def test_pictures_are_anonymized_as_they_come(tmp_path: Path) -> None:
    source, output, originals = tmp_path / "in", tmp_path / "out", tmp_path / "originals"
    source.mkdir()
    process = veil(environ(tmp_path), "watch", source, output, "--originals", originals, *FAST)
    try:
        slow = source / "growing.jpg"
        whole = small(1)
        with slow.open("wb") as file:
            for at in range(0, len(whole), len(whole) // 8):
                file.write(whole[at : at + len(whole) // 8])
                file.flush()
                time.sleep(0.1)
        (source / "broken.jpg").write_bytes(b"no picture")
        _until(process, lambda: "growing.jpg" in content(output) and (originals / "growing.jpg").exists())
        assert (originals / "growing.jpg").read_bytes() == whole
        assert content(output)["growing.jpg"] != whole
        failed = source / ".veil" / "failed" / "broken.jpg"
        _until(process, lambda: failed.with_name("broken.jpg.json").exists())
        assert failed.read_bytes() == b"no picture"
        assert json.loads(failed.with_name("broken.jpg.json").read_text())["problem"] == "unsupported-format"
        assert content(source) == {}
    finally:
        process.send_signal(signal.SIGTERM)
    code, text = finished(process)
    assert code == 0, text


@pytest.mark.slow
def test_two_watchers_share_the_work_and_a_killed_one_loses_nothing(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    paths = plant(source, 30)
    env = environ(tmp_path)
    watchers = [veil(env, "watch", source, output, "--delete", *FAST) for _ in range(2)]
    try:
        _until(watchers[0], lambda: len(content(output)) > 3)
        watchers[0].kill()
        watchers.append(veil(env, "watch", source, output, "--delete", *FAST))
        _until(watchers[2], lambda: len(content(output)) == 30 and not content(source))
    finally:
        for each in watchers:
            each.send_signal(signal.SIGTERM)
    for each in watchers[1:]:
        code, text = finished(each)
        assert code == 0, text
    finished(watchers[0])
    assert sorted(content(output)) == paths
    assert [f for f in (source / ".veil").rglob("*") if f.is_file()] == []


@pytest.mark.slow
def test_an_outage_is_waited_for(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    with ServiceProcess(tmp_path) as service:
        process = veil(environ(tmp_path), "watch", source, output, "--delete", "--server", service.url, *FAST)
        try:
            (source / "a.jpg").write_bytes(small(1))
            _until(process, lambda: "a.jpg" in content(output))
            port = service.url.rpartition(":")[2]
            service.kill()
            (source / "b.jpg").write_bytes(small(2))
            time.sleep(1)
            service.environ["VEIL_SERVER__PORT"] = port
            service.start()
            _until(process, lambda: "b.jpg" in content(output))
        finally:
            process.send_signal(signal.SIGTERM)
        assert finished(process)[0] == 0


@pytest.mark.slow
def test_folders_within_one_another_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    code, text = finished(veil(environ(tmp_path), "watch", tmp_path / "in", tmp_path / "in" / "out", "--delete"))
    assert code == 2
    assert "must not lie in one another" in text
    code, text = finished(veil(environ(tmp_path), "watch", tmp_path / "in", tmp_path / "out"))
    assert code == 2
    assert "--originals" in text


def _until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
