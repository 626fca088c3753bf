"""Small photographs with plates of known places, generated: no file, no network."""

import sys

import cv2
import numpy as np
import pytest

from training.fonts import Fonts
from training.photographs import Labels, Photographs, boxes
from training.plates import Plates

# PyTorch looks for a package of that name, and the folder tests/triton would pass for it.
sys.modules.setdefault("triton", None)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def fonts() -> Fonts:
    return Fonts.find()


@pytest.fixture(scope="session")
def labeled(tmp_path_factory: pytest.TempPathFactory, fonts: Fonts) -> list[Labels]:
    """Three noisy pictures; the first two have a plate of 120 × 40 pixels, the third one lookalike and no plate."""
    folder, rng, found = tmp_path_factory.mktemp("photographs"), np.random.default_rng(5), []
    for k in range(3):
        picture = rng.integers(60, 140, (480, 640, 3), dtype=np.uint8)
        x, y = 100 + 150 * k, 200
        picture[y : y + 40, x : x + 120] = cv2.resize(Plates(fonts).draw(rng), (120, 40))
        file = folder / f"picture{k}.png"
        cv2.imwrite(str(file), picture)
        place = boxes([[x, y, x + 120, y + 40]])
        none = boxes([])
        found.append(Labels(f"picture{k}", file, place if k < 2 else none, none, none if k < 2 else place))
    return found


@pytest.fixture(scope="session")
def photographs(labeled: list[Labels], tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    return Photographs.decode(labeled, tmp_path_factory.mktemp("cache"))
