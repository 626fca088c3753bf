"""What other open tools hide of an annotated set, counted as `veil evaluate` counts: deface and OpenCV's cascades.

`python -m benchmarks.peers_recall SET [--every N]`. deface (MIT, PyPI) runs its own detector, at its own threshold and
grown by its own mask scale; the cascades are those that OpenCV ships, frontal and profile faces and Russian plates, at
its default parameters, without any margin. Both draw boxes here, which flatters them: deface's own masks are ellipses.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.deface import PLACE, install
from service.evaluation import summary
from service.evaluation.counting import count
from service.evaluation.coverage import coverage
from service.evaluation.dataset import Dataset, Picture, read_dataset
from service.evaluation.report import CountResult, ObjectResult, PictureResult
from service.evaluation.run import open_picture
from service.imaging.detections import Detections, Float32
from service.imaging.masking import build_mask
from service.policy import ClassPolicy, Policy, Shape
from service.settings import Settings

Find = Callable[[Picture, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]], Float32]
"""Boxes (n, 4) of one picture: x1, y1, x2, y2 in upright pixels."""

THRESHOLD, MASK_SCALE = 0.2, 1.3
"""deface's own defaults."""

_DEFACE = f"""
import json, sys
import cv2
from deface.centerface import CenterFace
from deface.deface import scale_bb
model = CenterFace(in_shape=None, backend="onnxrt")
for name in sys.stdin.read().splitlines():
    found, _ = model(cv2.cvtColor(cv2.imread(name), cv2.COLOR_BGR2RGB), threshold={THRESHOLD})
    print(json.dumps([[int(v) for v in scale_bb(*row[:4].astype(int), {MASK_SCALE})] for row in found]), flush=True)
"""

OPENCV = "4.13.0.92"
CASCADES = {
    "face": ("haarcascade_frontalface_default.xml", "haarcascade_profileface.xml"),
    "plate": ("haarcascade_russian_plate_number.xml",),
}

_CASCADES = """
import json, os, sys
import cv2
cascades = [(name, cv2.CascadeClassifier(os.path.join(cv2.data.haarcascades, name))) for name in sys.argv[1:]]
for file in sys.stdin.read().splitlines():
    gray, rows = cv2.imread(file, cv2.IMREAD_GRAYSCALE), []
    for name, cascade in cascades:
        rows += [[int(x), int(y), int(x + w), int(y + h)] for x, y, w, h in cascade.detectMultiScale(gray)]
        if "profile" in name:  # it knows one side only
            width = gray.shape[1]
            for x, y, w, h in cascade.detectMultiScale(cv2.flip(gray, 1)):
                rows.append([int(width - x - w), int(y), int(width - x), int(y + h)])
    print(json.dumps(rows), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.set).sample(every=arguments.every)
    print(f"{len(dataset.pictures)} pictures, each {arguments.every}th")
    if install() is not None:
        program = [str(PLACE / "bin" / "python"), "-c", _DEFACE]
        report("deface 1.5.0", "face", dataset, outside(dataset, "face", program))
    python = opencv_4()
    for class_name, names in CASCADES.items():
        program = [str(python), "-c", _CASCADES, *names]
        report(f"OpenCV {OPENCV}'s cascades", class_name, dataset, outside(dataset, class_name, program))


def opencv_4() -> Path:
    """The Python of an environment with the last OpenCV that has cascades in it, installed if it is not there."""
    place = PLACE.with_name("opencv-4")
    python = place / "bin" / "python"
    if not (place / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        requirement = f"opencv-python-headless=={OPENCV}"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", requirement], check=True)
        (place / "installed").touch()
    return python


def report(tool: str, class_name: str, dataset: Dataset, find: Find) -> None:
    """Prints recall by height, and false boxes, of what `find` finds."""
    policy = Policy(classes=(ClassPolicy(name=class_name, threshold=0.5, margin=0, shape=Shape.BOX),))
    results = []
    for picture in dataset.pictures:
        if class_name in picture.annotated:
            pixels = np.asarray(open_picture(picture, Settings.load({})).pixels)
            results.append(measured(picture, find(picture, pixels), policy))
    print(f"{tool}, {class_name} ({len(results)} pictures)")
    for row in summary.recall_rows(results, (class_name,)):
        if row.group != "subset":
            hit = row.hidden
            print(f"  {row.name:12s} {row.objects:5d}  hidden {hit.value:.3f} [{hit.low:.3f}, {hit.high:.3f}]")
    for false in summary.false_rows(results, (class_name,)):
        precision = "–" if false.precision is None else f"{false.precision.value:.2f}"
        negative = "–" if false.per_negative is None else f"{false.per_negative.value:.2f}"
        print(f"  precision {precision}, false boxes per picture without any {negative} ({false.negatives} pictures)")


def measured(picture: Picture, boxes: Float32, policy: Policy) -> PictureResult:
    """`boxes` (n, 4) of the policy's one class, hidden whole, in the evaluation's arithmetic."""
    (name,), n = policy.class_names, len(boxes)
    found = Detections(
        boxes, np.ones(n, np.float32), np.zeros(n, np.int32), np.zeros(n, np.int32), policy.class_names, ("peer/1",)
    )
    mask = build_mask(found, policy, picture.width, picture.height)
    objects = tuple(
        ObjectResult(class_name=name, box=each.xyxy, coverage=coverage(mask, each.xyxy), up_to=0, strict_up_to=0)
        for each in picture.of(name)
        if not each.ignored
    )
    counted = count(found, name, picture.of(name))
    counts = (CountResult(class_name=name, true=counted.true, false=len(counted.false), curve=()),)
    return PictureResult(
        id=picture.id, subset=picture.subset, objects=objects, counts=counts if name in picture.exhaustive else ()
    )


def outside(dataset: Dataset, class_name: str, program: Sequence[str]) -> Find:
    """Everything at once, by a program with an environment of its own, on the upright pixels that Veil decodes.

    It reads a file name a line and writes a JSON list of boxes for each.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _outside(dataset, class_name, program, Path(folder))


def _outside(dataset: Dataset, class_name: str, program: Sequence[str], folder: Path) -> Find:
    pictures = [each for each in dataset.pictures if class_name in each.annotated]
    names = []
    for picture in pictures:
        pixels = np.asarray(open_picture(picture, Settings.load({})).pixels)[..., :3]
        names.append(str(folder / f"{len(names)}.png"))
        cv2.imwrite(names[-1], pixels[..., ::-1])
    done = subprocess.run(
        program,
        input="\n".join(names),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    by_id = {picture.id: row for picture, row in zip(pictures, rows, strict=True)}
    return lambda picture, _: np.array(by_id[picture.id], np.float32).reshape(-1, 4)


if __name__ == "__main__":
    main()
