import numpy as np
import pytest

from service.api.coordinates import Frame
from service.imaging.raster import upright_view


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_of_the_upright_picture_is_found_in_the_stored_one(orientation: int) -> None:
    """Against the pixels: a marked box of the upright view is the box that is marked in the stored array."""
    stored = np.zeros((40, 70, 1), np.uint8)
    upright = upright_view(stored, orientation)
    upright[5:17, 9:28] = 1
    ys, xs = np.nonzero(stored[:, :, 0])
    expected = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    frame = Frame(upright.shape[1], upright.shape[0], orientation)
    assert frame.to_stored((9, 5, 28, 17)) == expected
