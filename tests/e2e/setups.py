"""The two real set-ups, and the pictures that are sent to them."""

import functools
import io
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data

from tests.service_process import ServiceProcess

FACE = (188, 75, 256, 160)
"""Inside the face of `portrait()`: x1, y1, x2, y2."""


@functools.cache
def portrait() -> npt.NDArray[np.uint8]:
    """(512, 512, 3) uint8: NASA's public-domain portrait of Eileen Collins, one face."""
    pixels: npt.NDArray[np.uint8] = data.astronaut()
    pixels.setflags(write=False)
    return pixels


def encoded(pixels: npt.NDArray[np.uint8], container: str, **options: Any) -> bytes:
    """`pixels` as a file of Pillow's format `container`."""
    buffer = io.BytesIO()
    if container == "JPEG":
        options = {"quality": 95, "subsampling": 0, **options}
    Image.fromarray(pixels).save(buffer, container, **options)
    return buffer.getvalue()


@dataclass(frozen=True)
class Setup:
    """A running service and the engine that its receipts must name."""

    service: ServiceProcess
    engine: str
    client: httpx.Client

    def post(self, path: str, body: bytes, media: str, **options: str) -> httpx.Response:
        return self.client.post(path, params=options, content=body, headers={"Content-Type": media})

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.client.get(path, params=query)
