"""Valid small files, at least one of each kind that Veil reads, for mutations to start from."""

import functools
import io

import numpy as np
from PIL import Image

from tests.images import (
    leaky_jpeg,
    leaky_png,
    leaky_tiff,
    leaky_webp,
    picture,
    png_by_hand,
    with_pillow,
    with_tifffile,
)
from tests.stills import heic, jp2, leaky_avif, leaky_heic

HEIGHT, WIDTH = 72, 97


@functools.cache
def seeds() -> dict[str, bytes]:
    """Files by name: pictures of 97 × 72 pixels, plain ones and such with all the metadata that there is."""
    gray, color, alpha = picture(HEIGHT, WIDTH, 1), picture(HEIGHT, WIDTH, 3), picture(HEIGHT, WIDTH, 4)
    deep = picture(HEIGHT, WIDTH, 3, np.uint16)
    return {
        "jpeg": with_pillow(color, "JPEG", quality=90),
        "jpeg-progressive": with_pillow(color, "JPEG", progressive=True, quality=80),
        "jpeg-gray": with_pillow(gray, "JPEG"),
        "jpeg-cmyk": with_pillow(alpha, "JPEG", mode="CMYK"),
        "jpeg-restarts": with_pillow(color, "JPEG", restart_marker_blocks=2, subsampling=0),
        "jpeg-metadata": leaky_jpeg(color),
        "png": png_by_hand(color),
        "png-16": png_by_hand(deep),
        "png-bits": png_by_hand((gray > 127).astype(np.uint8), depth=1, color_type=0),
        "png-palette": with_pillow_palette(color),
        "png-metadata": leaky_png(color),
        "webp": with_pillow(color, "WEBP", quality=80),
        "webp-lossless": with_pillow(alpha, "WEBP", lossless=True),
        "webp-metadata": leaky_webp(color, lossless=False),
        "tiff": with_tifffile(color),
        "tiff-tiled": with_tifffile(color, tile=(32, 32), compression="zlib", predictor=True),
        "tiff-16": with_tifffile(deep, byteorder=">", rowsperstrip=5),
        "tiff-big": with_tifffile(color, bigtiff=True),
        "tiff-lzw": with_pillow(color, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": with_pillow(color, "TIFF", compression="jpeg"),
        "tiff-metadata": leaky_tiff(color),
        "bmp": with_pillow(color, "BMP"),
        "jpeg2000": jp2(color),
        "jpeg2000-codestream": jp2(color, codestream=True),
        "avif": with_pillow(color, "AVIF", quality=70, speed=10),
        "avif-metadata": leaky_avif(color),
        "heic": heic(color),
        "heic-metadata": leaky_heic(color),
    }


def with_pillow_palette(pixels: np.ndarray) -> bytes:
    """A PNG of 16 colors out of a palette."""
    image = Image.fromarray(pixels).quantize(16)
    out = io.BytesIO()
    image.save(out, "PNG", bits=4)
    return out.getvalue()
