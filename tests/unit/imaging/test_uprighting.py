import numpy as np
import pytest
from PIL import Image

from service.imaging.raster import ColorModel, Raster
from service.imaging.uprighting import store_upright
from tests.images import exif_block, leaky_exif, picture


def raster(orientation: int, exif: bytes | None = None) -> Raster:
    return Raster(
        picture(5, 7, 3), ColorModel.RGB, alpha=False, orientation=orientation, exif=exif, pixels_per_mm=(2.0, 3.0)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_as_displayed_and_nothing_is_shared(orientation: int) -> None:
    turned = raster(orientation)
    stored = store_upright(turned)
    assert stored.orientation == 1
    assert np.array_equal(stored.pixels, turned.upright)
    assert stored.pixels.flags.c_contiguous
    assert stored.pixels_per_mm == ((2.0, 3.0) if orientation <= 4 else (3.0, 2.0))
    assert np.shares_memory(stored.pixels, turned.pixels) == (orientation == 1)


@pytest.mark.parametrize("block", [leaky_exif(6, b"thumbnail"), exif_block(6).removeprefix(b"Exif\0\0")])
def test_exif_says_so_and_everything_else_as_before(block: bytes) -> None:
    stored = store_upright(raster(6, block)).exif
    assert stored is not None
    before, after = Image.Exif(), Image.Exif()
    before.load(block)
    after.load(stored)
    assert (before.pop(0x0112), after.pop(0x0112)) == (6, 1)
    assert dict(before) == dict(after)
    assert sum(a != b for a, b in zip(block, stored, strict=True)) == 1


@pytest.mark.parametrize("block", [b"", b"MM", b"no TIFF at all", leaky_exif(6, b"")[:12], leaky_exif(6, b"")[:20]])
def test_broken_exif_costs_nothing(block: bytes) -> None:
    stored = store_upright(raster(6, block))
    assert stored.orientation == 1
    assert stored.exif == block


def test_exif_without_an_orientation_stays() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Veil Optics"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    assert store_upright(raster(8, block)).exif == block
