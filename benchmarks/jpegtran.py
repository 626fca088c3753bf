"""`jpegtran -drop`, one call for each region: how others change a JPEG in places (libjpeg-turbo's command line)."""

import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

MCU = 16
"""Pixels: `-drop` takes whole MCUs of a 4:2:0 picture."""


def available() -> bool:
    return shutil.which("jpegtran") is not None


def drop(data: bytes, pixels: np.ndarray, boxes: np.ndarray, quality: int) -> float:
    """Processor seconds that jpegtran takes to lay blurred regions over `boxes` (n, 4) of `data`.

    `pixels`: the decoded picture, BGR; decoding it and blurring is not counted.
    """
    height, width = pixels.shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        whole, part, out = (Path(folder, name) for name in ("whole.jpg", "part.jpg", "out.jpg"))
        whole.write_bytes(data)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for x1, y1, x2, y2 in boxes:
            left, top = int(x1) // MCU * MCU, int(y1) // MCU * MCU
            right = min(-(-int(x2) // MCU) * MCU, width)
            bottom = min(-(-int(y2) // MCU) * MCU, height)
            blurred = cv2.blur(pixels[top:bottom, left:right], (31, 31))
            cv2.imwrite(str(part), blurred, [cv2.IMWRITE_JPEG_QUALITY, quality])
            command = ["jpegtran", "-drop", f"+{left}+{top}", str(part), "-outfile", str(out), str(whole)]
            subprocess.run(command, check=True, capture_output=True)
            out.replace(whole)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
