import numpy as np
import pytest
from PIL import Image, ImageOps

from service.imaging.raster import ColorModel, Raster, upright_view


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_a_viewer_shows(orientation: int) -> None:
    stored = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(upright_view(stored, orientation), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_writing_upright_writes_what_is_stored(orientation: int) -> None:
    raster = Raster(np.zeros((4, 6, 3), np.uint8), ColorModel.RGB, alpha=False, orientation=orientation)
    raster.upright[0, 0] = 255
    assert raster.pixels.any()
    assert raster.upright.shape == (raster.height, raster.width, 3)


def test_channels_must_fit_the_color_model() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Raster(np.zeros((4, 6, 3), np.uint8), ColorModel.RGB, alpha=True)
