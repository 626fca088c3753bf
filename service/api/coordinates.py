"""Boxes of the upright picture in the coordinates of the picture as it is stored."""

from dataclasses import dataclass

Box = tuple[float, float, float, float]

TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap width and height (Exif 3.0, tag 0x0112)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture's size in pixels seen upright, and the EXIF orientation that makes it so."""

    width: int
    height: int
    orientation: int

    def to_stored(self, box: Box) -> Box:
        """x1, y1, x2, y2 as stored: the steps of `imaging.raster.upright_view`, undone in reverse order."""
        x1, y1, x2, y2 = box
        if self.orientation in (2, 3, 6, 7):
            x1, x2 = self.width - x2, self.width - x1
        if self.orientation in (3, 4, 7, 8):
            y1, y2 = self.height - y2, self.height - y1
        if self.orientation in TURNED:
            x1, y1, x2, y2 = y1, x1, y2, x2
        return tuple(round(value, 1) for value in (x1, y1, x2, y2))  # type: ignore[return-value]

    def point_to_stored(self, point: tuple[float, float]) -> tuple[float, float]:
        """x, y as stored."""
        x, y, _, _ = self.to_stored((*point, *point))
        return x, y
