"""Between the color models that files use and the 8-bit RGB that detectors see and masks are colored in."""

from typing import Any

import numpy as np

from service.imaging.raster import ColorModel, Pixels, UInt8Image

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of R, G, B in luma, ITU-R BT.601 (what JFIF uses)."""

YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
"""R, G, B to Y, Cb, Cr around 0, as in JFIF (ITU-T T.871 §7)."""

SIXTEEN_BIT = 257
"""8-bit values times this fill the 16-bit range: 255 × 257 = 65535."""


def to_rgb8(pixels: Pixels, color: ColorModel) -> UInt8Image:
    """`pixels` (h, w, C ≥ color channels; a trailing alpha is ignored) as (h, w, 3) uint8 RGB.

    16-bit samples give their high byte; CMYK ink is the naive (255 - c)(255 - k) / 255, which is enough to find and to
    average by. May be a view of `pixels`, strided as they are.
    """
    narrow: UInt8Image = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)  # type: ignore[assignment]
    match color:
        case ColorModel.GRAY:
            return np.repeat(narrow[:, :, :1], 3, axis=2)
        case ColorModel.RGB:
            return narrow[:, :, :3]
        case ColorModel.CMYK:
            light = (255 - narrow[:, :, :4]).astype(np.uint16)
            return ((light[:, :, :3] * light[:, :, 3:] + 127) // 255).astype(np.uint8)


def from_rgb8(rgb: UInt8Image, color: ColorModel, dtype: np.dtype[Any]) -> Pixels:
    """`rgb` (h, w, 3) uint8 as (h, w, color channels) of `dtype`, uint8 or uint16.

    CMYK takes as much black as it can (gray component replacement), so that gray prints neutral under any profile.
    """
    match color:
        case ColorModel.GRAY:
            pixels: UInt8Image = np.rint(rgb.astype(np.float32) @ LUMA).astype(np.uint8)[:, :, None]
        case ColorModel.RGB:
            pixels = rgb
        case ColorModel.CMYK:
            light = rgb.astype(np.float32)
            brightest = light.max(axis=2, keepdims=True)
            ink = 255 - 255 * light / np.maximum(brightest, 1)
            pixels = np.rint(np.concatenate([ink, 255 - brightest], axis=2)).astype(np.uint8)
            pixels[:, :, :3][brightest[:, :, 0] == 0] = 0
    if dtype == np.uint8:
        return pixels
    wide: Pixels = pixels.astype(np.uint16) * np.uint16(SIXTEEN_BIT)
    return wide
