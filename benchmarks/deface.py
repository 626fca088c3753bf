"""`deface` (PyPI), in an environment of its own: what somebody would take who only wants faces hidden."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

REQUIREMENTS = ("deface==1.5.0", "onnx", "onnxruntime")
"""With ONNX Runtime, which it prefers, and ONNX, without which it does not find it and computes by OpenCV, slower."""

PLACE = Path(__file__).resolve().parent.parent / ".cache" / "deface"


def install() -> Path | None:
    """The command, installed if it is not there; None if it cannot be."""
    command = PLACE / "bin" / "deface"
    if command.exists():
        return command
    try:
        subprocess.run([sys.executable, "-m", "venv", str(PLACE)], check=True, capture_output=True)
        pip = [str(PLACE / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
        subprocess.run(pip, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        print(f"deface cannot be installed: {error.stderr.decode(errors='replace')[-300:]}")
        return None
    return command


def seconds(command: Path, body: bytes) -> tuple[float, float]:
    """Wall and processor seconds for one picture, less those for a tiny one: without the program's start."""
    with tempfile.TemporaryDirectory() as folder:
        picture, tiny = Path(folder, "picture.jpg"), Path(folder, "tiny.jpg")
        picture.write_bytes(body)
        cv2.imwrite(str(tiny), np.full((32, 32, 3), 90, np.uint8))
        wall, processor = _run(command, picture)
        start, started = _run(command, tiny)
        return wall - start, processor - started


def _run(command: Path, picture: Path) -> tuple[float, float]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    arguments = [str(command), str(picture), "--output", str(picture.with_name("out.jpg"))]
    subprocess.run(arguments, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
