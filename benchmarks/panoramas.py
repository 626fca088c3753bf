"""Large pictures to measure with: real photographs, repeated and mirrored, under a sky, with faces of a street's sizes.

Frequencies and noise are a photograph's, so codecs have the work that they have. Where the objects are does not matter.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from benchmarks.pictures import jpeg

UInt8 = npt.NDArray[np.uint8]

SIZES = {
    "12 MP photo": (4000, 3000),
    "18 MP panorama": (5760, 2880),
    "75 MP panorama": (12288, 6144),
    "134 MP panorama": (16384, 8192),
}
SKY = 0.25
"""Share of a panorama's height that is clear sky: about what street-level pictures have."""

QUALITY = 90


def photographs(folder: Path | None) -> list[UInt8]:
    """RGB pictures of `folder`, or those that scikit-image brings along."""
    if folder is None:
        return [data.coffee(), data.chelsea(), data.rocket(), data.astronaut()]
    found = [cv2.imread(str(each), cv2.IMREAD_COLOR_RGB) for each in sorted(folder.iterdir())]
    shown = [each.astype(np.uint8) for each in found if each is not None]
    if not shown:
        raise ValueError(f"{folder} has no picture")
    return shown


def panorama(width: int, height: int, pictures: list[UInt8], faces: int = 12, seed: int = 0) -> UInt8:
    """(height, width, 3) uint8 RGB; left and right edges meet."""
    random = np.random.default_rng(seed)
    horizon = int(height * SKY)
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:horizon] = np.linspace((110, 150, 205), (190, 205, 225), horizon)[:, None, :].astype(np.uint8)
    side = max(400, height // 8)
    for top in range(horizon, height, side):
        for left in range(0, width, side):
            tile = cv2.resize(
                pictures[int(random.integers(len(pictures)))], (side, side), interpolation=cv2.INTER_CUBIC
            )
            tile = tile[:, ::-1] if random.integers(2) else tile
            shown = canvas[top : top + side, left : left + side]
            shown[:] = tile[: shown.shape[0], : shown.shape[1]]
    face = data.astronaut()[:256, 96:352]
    for _ in range(faces):
        size = int(random.integers(32, 260))
        x, y = int(random.integers(0, width - size)), int(random.integers(horizon, height - size))
        canvas[y : y + size, x : x + size] = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
    for top in range(0, height, 256):  # in bands, to spare memory
        band = canvas[top : top + 256]
        noise = random.normal(0, 2.0, band.shape).astype(np.float32)
        band[:] = np.clip(band + noise, 0, 255).astype(np.uint8)
    return canvas


def picture(name: str, folder: Path | None = None) -> bytes:
    """The JPEG of `SIZES[name]`."""
    return jpeg(panorama(*SIZES[name], photographs(folder)), QUALITY)
