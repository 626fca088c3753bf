"""Processes that draw crops do not outlive the training."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.service_process import ROOT

SCRIPT = """
import multiprocessing, os, time
from training.workers import end_with_parent

def work(watched):
    if watched:
        end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    for watched in (True, False):
        context.Process(target=work, args=(watched,), daemon=True).start()
        time.sleep(2)
    print("started", flush=True)
    time.sleep(60)
"""


@pytest.mark.timeout(60)
def test_they_end_when_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(SCRIPT, encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([sys.executable, "run.py"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    numbers: list[int] = []
    for line in running.stdout:
        if line.strip() == "started":
            break
        numbers.append(int(line))
    watched, left = numbers
    running.kill()
    running.stdout.close()
    running.wait()
    try:
        deadline = time.monotonic() + 20
        while psutil.pid_exists(watched):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert psutil.pid_exists(left), "one that does not watch goes on"
    finally:
        psutil.Process(left).kill()
