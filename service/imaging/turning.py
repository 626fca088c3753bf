"""Boxes between the picture as stored and as displayed (EXIF orientation, Exif 3.0, tag 0x0112)."""

from typing import TypeVar

Pixel = TypeVar("Pixel", int, float)

TRANSPOSED, FLIPPED, MIRRORED = frozenset({5, 6, 7, 8}), frozenset({3, 4, 7, 8}), frozenset({2, 3, 6, 7})
"""What turns the stored picture upright: axes swapped, then top and bottom, then left and right."""


def to_upright(
    box: tuple[Pixel, Pixel, Pixel, Pixel], orientation: int, width: int, height: int
) -> tuple[Pixel, Pixel, Pixel, Pixel]:
    """`box` (x1, y1, x2, y2) of stored pixels in pixels of the upright picture, which has `width` × `height`."""
    x1, y1, x2, y2 = box
    if orientation in TRANSPOSED:
        x1, y1, x2, y2 = y1, x1, y2, x2
    if orientation in FLIPPED:
        y1, y2 = height - y2, height - y1
    if orientation in MIRRORED:
        x1, x2 = width - x2, width - x1
    return x1, y1, x2, y2


def to_stored(
    box: tuple[Pixel, Pixel, Pixel, Pixel], orientation: int, width: int, height: int
) -> tuple[Pixel, Pixel, Pixel, Pixel]:
    """`box` (x1, y1, x2, y2) of the upright picture, which has `width` × `height` pixels, in stored pixels."""
    x1, y1, x2, y2 = box
    if orientation in MIRRORED:
        x1, x2 = width - x2, width - x1
    if orientation in FLIPPED:
        y1, y2 = height - y2, height - y1
    if orientation in TRANSPOSED:
        x1, y1, x2, y2 = y1, x1, y2, x2
    return x1, y1, x2, y2
