"""Counting objects: what is the same object, and what only looks like it."""

import time

import numpy as np
import pytest

from service.imaging.detections import Detections
from service.imaging.fusion import suppress


def found(*rows, classes=("face", "plate")):
    """Detections of (x1, y1, x2, y2, score, class name)."""
    return Detections(
        np.array([r[:4] for r in rows], np.float32).reshape(-1, 4),
        np.array([r[4] for r in rows], np.float32),
        np.array([classes.index(r[5]) for r in rows], np.int32),
        np.zeros(len(rows), np.int32),
        classes,
        ("model/1",),
    )


def scores(detections):
    return sorted(np.round(detections.score.astype(float), 2).tolist(), reverse=True)


def test_nothing_stays_nothing():
    assert len(suppress(found())) == 0


def test_the_same_object_on_two_levels_counts_once_with_its_best_score():
    assert scores(suppress(found((0, 0, 10, 10, 0.6, "face"), (1, 0, 11, 10, 0.9, "face")))) == [0.9]


def test_neighbors_are_two_objects():
    assert suppress(found((0, 0, 10, 10, 0.6, "face"), (8, 0, 18, 10, 0.9, "face"))).counts()["face"] == 2


def test_classes_do_not_suppress_each_other():
    kept = suppress(found((0, 0, 10, 10, 0.6, "face"), (0, 0, 10, 10, 0.9, "plate")))
    assert kept.counts() == {"face": 1, "plate": 1}


def test_a_part_inside_a_better_whole_is_that_object():
    assert scores(suppress(found((0, 0, 40, 40, 0.9, "face"), (5, 5, 15, 15, 0.5, "face")))) == [0.9]


def test_a_better_fragment_and_its_whole_are_one_object():
    assert scores(suppress(found((0, 0, 25, 40, 0.9, "face"), (0, 0, 60, 40, 0.5, "face")))) == [0.9]


def test_two_fragments_of_a_tile_border_join_through_the_whole():
    left, whole, right = (0, 0, 38, 40, 0.9, "face"), (0, 0, 60, 40, 0.8, "face"), (35, 0, 60, 40, 0.7, "face")
    assert scores(suppress(found(left, whole, right))) == [0.9]
    assert scores(suppress(found((*left[:4], 0.9, "face"), (*right[:4], 0.85, "face"), whole))) == [0.9]
    assert len(suppress(found(left, right))) == 2


def test_a_box_drawn_over_a_group_swallows_nobody():
    group = found((0, 0, 10, 10, 0.9, "face"), (30, 0, 40, 10, 0.8, "face"), (0, 0, 40, 40, 0.5, "face"))
    assert scores(suppress(group)) == [0.9, 0.8]


def test_a_box_without_area_is_still_counted():
    assert len(suppress(found((5, 5, 5, 5, 0.9, "face")))) == 1


@pytest.mark.parametrize("spread", [8000, 600, 1])
def test_five_thousand_boxes_are_quick(spread):
    rng = np.random.default_rng(1)
    corner, size = rng.uniform(0, spread, (5000, 2)), rng.uniform(10, 40, (5000, 2))
    boxes = np.hstack([corner, corner + size])
    many = found(*((*b, s, "face") for b, s in zip(boxes, rng.random(5000), strict=True)))
    started = time.process_time()
    suppress(many)
    # 0.07 to 0.17 s of one core; the bound leaves room for a busy machine and none for a quadratic loop in Python.
    assert time.process_time() - started < 1.0
