"""What counts as a tile that shows nothing."""

import cv2
import numpy as np
import pytest
from skimage import data

from service.imaging.blank import is_blank
from service.imaging.raster import UInt8Image

LIMIT = 12


def sky(noise: int = 0, slope: float = 0.0) -> UInt8Image:
    random = np.random.default_rng(3)
    rows = np.arange(640)[:, None, None] * slope
    shown = 120 + rows + random.integers(-noise, noise + 1, (640, 640, 3))
    return np.clip(np.broadcast_to(shown, (640, 640, 3)), 0, 255).astype(np.uint8)


def test_clear_sky_is_blank_with_its_gradient_and_a_sensors_noise() -> None:
    assert is_blank(sky(noise=4, slope=0.15), LIMIT)


@pytest.mark.parametrize("side", [4, 8, 16, 40])
@pytest.mark.parametrize("difference", [LIMIT, 2 * LIMIT])
def test_a_mark_of_any_size_is_not(side: int, difference: int) -> None:
    tile = sky()
    tile[300 : 300 + side, 200 : 200 + side] += np.uint8(difference)
    assert not is_blank(tile, LIMIT)


@pytest.mark.parametrize("corner", [(0, 0), (0, 632), (632, 0), (632, 632)])
def test_not_even_in_a_corner(corner: tuple[int, int]) -> None:
    tile = sky()
    tile[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8] = 160
    assert not is_blank(tile, LIMIT)


@pytest.mark.parametrize("height", [12, 24, 60])
def test_a_face_in_fog_is_not(height: int) -> None:
    face = cv2.resize(data.astronaut()[75:160, 188:256], (height * 4 // 5, height), interpolation=cv2.INTER_AREA)
    tile = sky(noise=2)
    faint = 120 + (face.astype(np.float32) - face.mean()) * 0.25  # a quarter of its contrast
    tile[100 : 100 + height, 500 : 500 + face.shape[1]] = np.clip(faint, 0, 255).astype(np.uint8)
    assert not is_blank(tile, LIMIT)


def test_a_limit_of_zero_finds_nothing_blank() -> None:
    assert not is_blank(sky(), 0)
