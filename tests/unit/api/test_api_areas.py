import json

import pytest

from service.api.areas import MAX_AREAS, parse_areas
from service.errors import InvalidRequest
from service.policy import Area


def test_boxes_and_polygons() -> None:
    assert parse_areas("regions", "[[0,0,1.5,2],[[0,0],[4,0],[4,4],[0,4]]]") == (
        Area.from_box(0, 0, 1.5, 2),
        Area(points=((0, 0), (4, 0), (4, 4), (0, 4))),
    )
    assert parse_areas("regions", "[]") == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1,2,3,4]x",
        "[[NaN,0,1,1]]",
        "[" * 100_000,
        "[[" + "9" * 5000 + ",0,1,1]]",
        json.dumps([[0, 0, 1, 1]] * (MAX_AREAS + 1)),
    ],
)
def test_what_is_no_list_of_areas_is_pointed_at(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_areas("regions", text)
    assert [problem.pointer for problem in caught.value.problems] == ["/regions"]


@pytest.mark.parametrize(
    "item",
    [
        [1, 2, 3],
        [5, 0, 5, 9],
        [9, 0, 5, 9],
        [0, 0, True, 9],
        [0, 0, "5", 9],
        [0, 0, 1e999, 9],
        [0, 0, 10**400, 9],
        [[0, 0], [5, 5]],
        [[0, 0], [5, 0], [9, 0]],
        [[0, 0], [5, 5], [9, 0, 1]],
        [[0, 0], [5, 5], None],
        [[i, i % 2] for i in range(257)],
        7,
        None,
    ],
)
def test_an_element_that_is_no_area_is_pointed_at(item: object) -> None:
    text = json.dumps([[0, 0, 1, 1], item]).replace("Infinity", "1e999")
    with pytest.raises(InvalidRequest) as caught:
        parse_areas("exclude", text)
    assert [problem.pointer for problem in caught.value.problems] == ["/exclude/1"]
