"""JPEGs of every kind that cameras and programs write, and their coefficients, read by a program of another maker."""

import functools
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import jpeglib
import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.images import exif_block

Array = npt.NDArray[Any]
YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])

PILLOW: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:2:0": {"subsampling": "4:2:0"},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "progressive 4:4:4": {"progressive": True, "subsampling": "4:4:4"},
    "restarts": {"restart_marker_blocks": 3},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 1},
    "RGB": {"keep_rgb": True},
    "16-bit tables": {"qtables": [[8] * 63 + [300], [9] * 63 + [400]]},
}
OPENCV = {"4:1:1": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411, "4:4:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440}
INKS = ("CMYK", "CMYK plain", "YCCK")
KINDS = (*PILLOW, *OPENCV, "gray", "gray progressive", *INKS)


def photo(height: int, width: int, seed: int = 0) -> Array:
    """(H, W, 3) uint8 RGB: edges, gradients and some noise, in strong colors."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 80 * np.sin(x / (9 + 4 * c) + y / 17) + 40 * ((x // 23 + y // (19 + c)) % 2) for c in range(3)]
    return np.clip(np.dstack(planes) + random.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def encoded(pixels: Array, kind: str, quality: int = 90, orientation: int = 1) -> bytes:
    """`pixels` (H, W, 3) RGB, stored as they are, as a JPEG of `kind`."""
    options: dict[str, Any] = {"quality": quality} | ({"exif": exif_block(orientation)} if orientation > 1 else {})
    if kind in OPENCV:
        parameters = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, OPENCV[kind]]
        data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[:, :, ::-1]), parameters)[1].tobytes()
        exif = exif_block(orientation)
        segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
        return data if orientation == 1 else data[:2] + segment + data[2:]
    if kind.startswith("gray"):
        return _saved(Image.fromarray(pixels[:, :, 1]), progressive="progressive" in kind, **options)
    if kind not in INKS:
        if "qtables" in PILLOW[kind]:
            del options["quality"]
        return _saved(Image.fromarray(pixels), **PILLOW[kind], **options)
    inks = np.dstack([pixels, 255 - pixels.max(axis=2)])
    if kind == "YCCK":
        # Pillow stores ink inverted: given the inverse of what is meant, that is what it stores.
        ycc = pixels @ YCC.T + [0, 128, 128]
        planes = np.dstack([ycc, 255.0 - inks[:, :, 3]])
        data = _saved(_inks(255 - np.clip(np.rint(planes), 0, 255).astype(np.uint8)), **options)
        assert data.count(b"Adobe\0d\0\0\0\0\0") == 1
        return data.replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2")
    data = _saved(_inks(inks), **options)
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 16 :] if kind == "CMYK plain" else data


def _inks(pixels: Array) -> Image.Image:
    height, width = pixels.shape[:2]
    return Image.frombytes("CMYK", (width, height), np.ascontiguousarray(pixels).tobytes())


def _saved(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


@functools.lru_cache(maxsize=64)
def coefficients(data: bytes) -> tuple[tuple[Array, ...], Array, list[tuple[int, int]]]:
    """Per component (rows, columns, 64) int16, without padding; the tables; the sampling factors (down, across)."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        path.write_bytes(data)
        read = jpeglib.read_dct(str(path))
        planes = tuple(
            np.array(plane).reshape(*plane.shape[:2], 64)
            for plane in (read.Y, read.Cb, read.Cr, read.K)
            if plane is not None
        )
        return planes, np.array(read.qt), [(int(down), int(across)) for down, across in read.samp_factor]


def pixels_of(data: bytes) -> Array:
    """(H, W, C) as Pillow decodes them, not turned."""
    with Image.open(io.BytesIO(data)) as image:
        return np.atleast_3d(np.asarray(image))
