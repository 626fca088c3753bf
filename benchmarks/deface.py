"""`deface` (PyPI), in an environment of its own: what somebody would take who only wants faces hidden."""

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


def seconds(command: Path, body: bytes) -> float:
    """Wall seconds for one picture, less those for a tiny one: without the program's start."""
    with tempfile.TemporaryDirectory() as folder:
        picture, tiny = Path(folder, "picture.jpg"), Path(folder, "tiny.jpg")
        picture.write_bytes(body)
        cv2.imwrite(str(tiny), np.full((32, 32, 3), 90, np.uint8))
        return _run(command, picture) - _run(command, tiny)


def _run(command: Path, picture: Path) -> float:
    began = time.perf_counter()
    arguments = [str(command), str(picture), "--output", str(picture.with_name("out.jpg"))]
    subprocess.run(arguments, check=True, capture_output=True)
    return time.perf_counter() - began
