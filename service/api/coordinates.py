"""Boxes of the upright picture in the coordinates of the picture as it is stored."""

from dataclasses import dataclass

from service.imaging import turning

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture's size in pixels seen upright, and the EXIF orientation that makes it so."""

    width: int
    height: int
    orientation: int

    def to_stored(self, box: Box) -> Box:
        """x1, y1, x2, y2 as stored, to a tenth of a pixel."""
        x1, y1, x2, y2 = turning.to_stored(box, self.orientation, self.width, self.height)
        return round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1)

    def point_to_stored(self, point: tuple[float, float]) -> tuple[float, float]:
        """x, y as stored."""
        x, y, _, _ = self.to_stored((*point, *point))
        return x, y
