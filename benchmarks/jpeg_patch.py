"""`python -m benchmarks.jpeg_patch`: patching a JPEG against decoding and encoding it again, in one run, by turns.

The peers do nothing but decode and encode, without a mask: what any way through pixels costs at least. Processor time,
since other programs on the machine must not count. Everything runs in one process, and so with the same memory: large
pages, unless it is called with --small-pages.
"""

import io
import os
import statistics
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from benchmarks.pictures import jpeg, photograph
from service.imaging.codec import decode
from service.imaging.detections import Detections
from service.imaging.jpeg_patch import patch
from service.imaging.layers import Cover, cover
from service.imaging.masking import build_mask
from service.imaging.source import Source, SourceLimits, inspect
from service.imaging.turbojpeg import TurboJpeg, load
from service.policy import ClassPolicy, Policy, Shape

SIZES = {"12 MP": (4000, 3000), "75 MP": (12288, 6144)}
MASKS = (0, 1, 20, 100)
QUALITY = 90
TUNABLES = "GLIBC_TUNABLES"
LIMITS = SourceLimits(200_000_000, 65_500)


def covered(data: bytes, count: int) -> tuple[Source, Cover]:
    """The picture, and what lies over it with `count` faces and plates of 40 to 300 pixels hidden, half of each."""
    source = inspect(data, LIMITS)
    raster = decode(source)
    random = np.random.default_rng(count)
    side = np.linspace(40, 300, count)
    high = np.where(np.arange(count) % 2, side * 1.25, side / 4)
    x, y = random.uniform(0, raster.width - side), random.uniform(raster.height * 0.3, raster.height * 0.7, count)
    found = Detections(
        xyxy=np.stack([x, y, x + side, y + high], axis=1).astype(np.float32),
        score=np.ones(count, np.float32),
        class_id=(1 - np.arange(count) % 2).astype(np.int32),
        model_id=np.zeros(count, np.int32),
        classes=("face", "plate"),
        models=("none",),
    )
    classes = [
        ClassPolicy(name="face", threshold=0.5, margin=0.15, shape=Shape.ELLIPSE),
        ClassPolicy(name="plate", threshold=0.5, margin=0.15, shape=Shape.BOX),
    ]
    mask = build_mask(found, Policy(classes=tuple(classes)), raster.width, raster.height)
    return source, cover(raster, mask, b"benchmark")


def with_opencv(data: bytes) -> None:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def with_pillow(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.save(io.BytesIO(), "JPEG", quality=QUALITY)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(data: bytes, library: TurboJpeg, repeats: int) -> dict[str, float]:
    """Medians in seconds by name; each round runs everything once, so that a slow minute meets all."""
    ways: dict[str, Callable[[], object]] = {
        "OpenCV decode + encode": lambda: with_opencv(data),
        "Pillow decode + encode": lambda: with_pillow(data),
    }
    for count in MASKS:
        source, hidden = covered(data, count)
        ways[f"patch, {count} masks"] = lambda source=source, hidden=hidden: patch(hidden, source, library)  # type: ignore[misc]
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            times[name].append(seconds(work))
    return {name: statistics.median(each) for name, each in times.items()}


def main(repeats: int = 5) -> None:
    if "--small-pages" not in sys.argv and TUNABLES not in os.environ:
        # Read by the C library before the program starts, so it has to start again.
        os.environ[TUNABLES] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.jpeg_patch"])
    cv2.setNumThreads(1)
    library = load()
    if library is None:
        sys.exit("libturbojpeg is missing: deploy/install-libturbojpeg.sh")
    for size, (width, height) in SIZES.items():
        for kind, options in (("baseline", {}), ("progressive", {"progressive": True})):
            data = jpeg(photograph(width, height), QUALITY)
            if options:
                file = io.BytesIO()
                Image.open(io.BytesIO(data)).save(file, "JPEG", quality="keep", **options)
                data = file.getvalue()
            print(f"{size} {kind}, {len(data) / 1e6:.1f} MB")
            figures = measure(data, library, repeats)
            base = figures["OpenCV decode + encode"]
            for name, value in figures.items():
                print(f"  {name:24s} {value:7.3f} s   {value / base:5.2f} × OpenCV")


if __name__ == "__main__":
    main()
