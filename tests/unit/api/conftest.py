"""Fixtures of the API's tests."""

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.unit.api.rig import Rig, build_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with build_rig(tmp_path) as built:
        yield built


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with rig.client() as made:
        yield made


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Makes a picture of a smooth gradient, 320 × 240 by default, in any format."""

    def make(kind: str = "JPEG", width: int = 320, height: int = 240, orientation: int = 1) -> bytes:
        x = np.linspace(0, 255, width, dtype=np.uint8)
        y = np.linspace(0, 255, height, dtype=np.uint8)
        pixels = np.stack(np.broadcast_arrays(x[None, :], y[:, None], np.uint8(90)), axis=-1)
        image = Image.fromarray(np.ascontiguousarray(pixels))
        exif = Image.Exif()
        exif[0x0112] = orientation
        out = io.BytesIO()
        image.save(out, kind, exif=exif.tobytes())
        return out.getvalue()

    return make
