"""Coverage, false boxes and intervals against figures worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.evaluation.bootstrap import difference, rate
from service.evaluation.counting import count
from service.evaluation.coverage import NEVER, ScoreMap, coverage, pixel_shares
from service.evaluation.dataset import Truth
from service.imaging.detections import Detections
from service.imaging.masking import build_mask
from service.policy import ClassPolicy, Policy, Shape

SIDE = 64
POLICY = Policy(
    classes=(
        ClassPolicy(name="face", threshold=0.5, margin=0.1, shape=Shape.ELLIPSE),
        ClassPolicy(name="plate", threshold=0.5, margin=0, min_margin=0, shape=Shape.BOX),
    )
)


def found(
    *boxes: tuple[float, float, float, float], scores: list[float] | None = None, name: str = "plate"
) -> Detections:
    n = len(boxes)
    classes = ("face", "plate")
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores or [0.9] * n, np.float32),
        np.full(n, classes.index(name), np.int32),
        np.zeros(n, np.int32),
        classes,
        ("m/1",),
    )


def plate(x1: float, y1: float, x2: float, y2: float, ignored: bool = False) -> Truth:
    return Truth("plate", (x1, y1, x2, y2), ignored)


def test_a_pixel_that_the_box_cuts_counts_with_its_part() -> None:
    window, shares = pixel_shares((1.5, 2, 3, 3.25))
    assert window == (1, 2, 3, 4)
    # Widths 0.5 and 1, heights 1 and 0.25, of an area of 1.875.
    np.testing.assert_allclose(shares, np.array([[0.5, 1], [0.125, 0.25]]) / 1.875)


def test_coverage_is_the_part_of_the_object_under_the_mask() -> None:
    mask = build_mask(found((10, 10, 30, 20)), POLICY, SIDE, SIDE)
    assert coverage(mask, (10, 10, 30, 20)) == pytest.approx(1)
    assert coverage(mask, (20, 10, 40, 20)) == pytest.approx(0.5)
    assert coverage(mask, (25, 15, 45, 35)) == pytest.approx(5 * 5 / 400)
    assert coverage(mask, (40, 10, 50, 20)) == 0
    assert coverage(mask, (29.5, 10, 30.5, 20)) == pytest.approx(0.5)


def test_the_highest_threshold_that_still_hides() -> None:
    # 20 × 10: the left half is hidden up to 0.6, the third quarter up to 0.4, the rest up to 0.2.
    boxes = [(10, 10, 20, 20), (20, 10, 25, 20), (25, 10, 30, 20)]
    scores = ScoreMap(found(*boxes, scores=[0.6, 0.4, 0.2]), POLICY, SIDE, SIDE)
    truth = plate(10, 10, 30, 20)
    assert scores.hidden_up_to(truth, 0.5) == pytest.approx(0.6)
    assert scores.hidden_up_to(truth, 0.75) == pytest.approx(0.4)
    assert scores.hidden_up_to(truth, 0.9) == pytest.approx(0.2)
    assert scores.hidden_up_to(plate(10, 10, 50, 20), 0.75) == NEVER
    assert scores.hidden_up_to(Truth("face", (10, 10, 30, 20), False), 0.1) == NEVER, "plates hide no faces here"


boxes = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(3, 24), st.integers(3, 24))


@given(
    seen=st.lists(st.tuples(boxes, st.sampled_from([0.2, 0.4, 0.6, 0.8])), max_size=6),
    truth=boxes,
    threshold=st.sampled_from([0.1, 0.3, 0.5, 0.7]),
    share=st.sampled_from([0.5, 0.75, 0.9]),
    name=st.sampled_from(["face", "plate"]),
)
def test_all_thresholds_at_once_say_what_the_mask_of_each_says(
    seen: list[tuple[tuple[int, int, int, int], float]],
    truth: tuple[int, int, int, int],
    threshold: float,
    share: float,
    name: str,
) -> None:
    x, y, w, h = truth
    everything = found(
        *((x, y, x + w, y + h) for (x, y, w, h), _ in seen), scores=[score for _, score in seen], name=name
    )
    kept = everything.take(everything.score >= threshold)
    covered = coverage(build_mask(kept, POLICY, SIDE, SIDE), (x, y, x + w, y + h))
    up_to = ScoreMap(everything, POLICY, SIDE, SIDE).hidden_up_to(Truth(name, (x, y, x + w, y + h), False), share)
    assert (covered >= share - 1e-9) == (up_to >= threshold)


def test_false_boxes_show_nothing_that_is_annotated() -> None:
    seen = found(
        (10, 10, 20, 20),  # shows the object
        (40, 10, 50, 20),  # shows nothing
        (10, 40, 20, 50),  # lies in an ignored region
        (50, 50, 60, 60),  # a tenth of it, 10 of 100, lies in an object
    )
    truths = (plate(10, 10, 20, 20), plate(8, 38, 24, 54, ignored=True), plate(50, 45, 60, 51))
    counted = count(seen, "plate", truths)
    assert counted.true == 2
    assert counted.false == ((40, 10, 50, 20),)


def test_a_box_that_lies_in_an_ignored_region_by_less_than_half_is_false() -> None:
    region = (plate(10, 10, 20, 20, ignored=True),)
    assert count(found((10, 15, 20, 25)), "plate", region).false == ()
    assert len(count(found((10, 16, 20, 26)), "plate", region).false) == 1


def test_two_boxes_of_one_object_count_once() -> None:
    counted = count(found((10, 10, 30, 20), (11, 10, 31, 20)), "plate", (plate(10, 10, 30, 20),))
    assert (counted.true, counted.false) == (1, ())


def test_boxes_of_other_classes_are_not_counted() -> None:
    assert count(found((10, 10, 30, 20), name="face"), "plate", ()) == count(found(), "plate", ())


def test_the_interval_of_a_rate_is_the_bootstraps() -> None:
    rng = np.random.default_rng(1)
    part, whole = rng.integers(0, 2, 400).astype(float), np.ones(400)
    estimate = rate(part, whole)
    assert estimate is not None
    assert estimate.value == part.mean()
    # One object in each picture: the binomial's standard error.
    error = 1.96 * (estimate.value * (1 - estimate.value) / 400) ** 0.5
    assert estimate.high - estimate.value == pytest.approx(error, abs=0.01)
    assert estimate.value - estimate.low == pytest.approx(error, abs=0.01)


def test_pictures_are_drawn_not_objects() -> None:
    # Ten pictures with a hundred objects each, found or missed together: as uncertain as ten objects.
    whole = np.full(10, 100.0)
    estimate = rate(np.repeat([100.0, 0.0], 5), whole)
    assert estimate is not None
    assert estimate.high - estimate.low > 0.4


def test_without_a_miss_the_interval_still_says_how_few_pictures_there_were() -> None:
    few, many = (rate(np.ones(n), np.ones(n)) for n in (10, 1000))
    assert few is not None
    assert many is not None
    # 0.025 ** (1/10): the share that hides ten of ten once in forty.
    assert few.low == pytest.approx(0.6915, abs=1e-4)
    assert few.high == many.high == 1
    assert many.low == pytest.approx(0.9963, abs=1e-4)
    none = rate(np.zeros(10), np.ones(10), proportion=False)
    assert none is not None
    assert (none.low, none.high) == (0, pytest.approx(0.3085, abs=1e-4))
    assert rate(np.zeros(3), np.zeros(3)) is None


def test_a_change_is_judged_on_the_same_pictures() -> None:
    rng = np.random.default_rng(2)
    one = rng.integers(0, 2, 300).astype(float)
    whole = np.ones(300)
    same = difference((one, whole), (one, whole))
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
    better = one.copy()
    better[np.flatnonzero(one == 0)[:12]] = 1
    change = difference((one, whole), (better, whole))
    assert change is not None
    assert change.value == pytest.approx(0.04)
    # Unpaired, the two rates could be apart by 0.08 through chance alone.
    assert 0 < change.low < 0.04 < change.high < 0.07
