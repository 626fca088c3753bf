"""The options `regions` and `exclude`: a JSON list of boxes and polygons, in pixels of the upright picture."""

import json
from typing import Any, NoReturn

from service.errors import InvalidRequest, OptionProblem
from service.policy import Area

MAX_AREAS = 500
MAX_POINTS = 256
LARGEST = 1e6
"""No picture reaches this far: a coordinate beyond it is a mistake (as is infinity, which JSON can say as 1e999)."""

SHAPE = "give a box [x1, y1, x2, y2] with x1 < x2 and y1 < y2, or a polygon [[x, y], [x, y], [x, y], …]"

SCHEMA: dict[str, Any] = {
    "type": "array",
    "maxItems": MAX_AREAS,
    "items": {
        "oneOf": [
            {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}},
            {
                "type": "array",
                "minItems": 3,
                "maxItems": MAX_POINTS,
                "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
            },
        ]
    },
}


def parse_areas(name: str, text: str) -> tuple[Area, ...]:
    """The areas that option `name` gives. Raises InvalidRequest pointing at each element that is none."""
    try:
        items = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidRequest([OptionProblem(f"/{name}", "not valid JSON")]) from None
    if not isinstance(items, list):
        raise InvalidRequest([OptionProblem(f"/{name}", "give a JSON list of boxes and polygons")])
    if len(items) > MAX_AREAS:
        raise InvalidRequest([OptionProblem(f"/{name}", f"give at most {MAX_AREAS} areas")])
    areas: list[Area] = []
    problems: list[OptionProblem] = []
    for i, item in enumerate(items):
        area = _area(item)
        if area is None:
            problems.append(OptionProblem(f"/{name}/{i}", SHAPE))
        else:
            areas.append(area)
    if problems:
        raise InvalidRequest(problems)
    return tuple(areas)


def _area(item: object) -> Area | None:
    if not isinstance(item, list):
        return None
    if _numbers(item, 4):
        x1, y1, x2, y2 = map(float, item)
        return Area.from_box(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
    if not 3 <= len(item) <= MAX_POINTS or not all(isinstance(p, list) and _numbers(p, 2) for p in item):  # noqa: PLR2004
        return None
    area = Area(points=tuple((float(x), float(y)) for x, y in item))
    x1, y1, x2, y2 = area.xyxy
    return area if x1 < x2 and y1 < y2 else None


def _numbers(item: list[Any], count: int) -> bool:
    return len(item) == count and all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= LARGEST for v in item
    )


def _refuse_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON (RFC 8259, section 6), though Python reads them."""
    raise ValueError(name)
