"""Which boxes are obscured as one, and that the mask is what it would be without."""

import numpy as np

from service.imaging.detections import Detections
from service.imaging.grouping import grouped
from service.imaging.masking import build_mask
from service.imaging.outlines import EllipseOutline, UnionOutline
from service.policy import ClassPolicy, Policy, Shape

FACE = ClassPolicy(name="face", threshold=0.2, margin=0.1, shape=Shape.ELLIPSE)


def test_boxes_of_one_object_are_one_group_whatever_lies_between():
    boxes = [(0, 0, 40, 40), (100, 0, 140, 40), (10, 0, 50, 40), (20, 0, 60, 40), (105, 5, 115, 15)]
    assert grouped(boxes) == [[0, 2, 3], [1, 4]]
    assert grouped([]) == []


def test_neighbors_that_overlap_a_little_stay_apart():
    assert grouped([(0, 0, 40, 40), (25, 0, 65, 40)]) == [[0], [1]]


def test_a_box_that_joins_two_groups_makes_them_one():
    assert grouped([(0, 0, 30, 30), (34, 0, 64, 30), (0, 0, 64, 30)]) == [[0, 1, 2]]


def test_one_face_seen_on_several_levels_is_one_region_and_hides_the_same_pixels():
    boxes = np.array([(30, 30, 60, 70), (33, 28, 64, 69), (28, 33, 57, 74), (80, 80, 95, 98)], np.float32)

    def mask(rows):
        n = len(rows)
        found = Detections(rows, np.ones(n, np.float32), *(np.zeros(n, np.int32),) * 2, ("face",), ("m/1",))
        return build_mask(found, Policy(classes=(FACE,)), 120, 120)

    together = mask(boxes)
    assert [type(r.outline) for r in together.regions] == [UnionOutline, EllipseOutline]
    alone = [mask(boxes[i : i + 1]) for i in range(4)]
    assert np.array_equal(together.coverage(), np.logical_or.reduce([m.coverage() for m in alone]))
    # The feather is the union of theirs, too.
    alphas = [m.alpha(m.regions[0], (0, 0, 120, 120)) for m in alone[:3]]
    assert np.array_equal(together.alpha(together.regions[0], (0, 0, 120, 120)), np.maximum.reduce(alphas))
