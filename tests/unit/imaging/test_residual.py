"""What is residual: detections outside of masks, not the masks themselves and not what the policy leaves alone."""

import numpy as np
import pytest

from service.imaging.detections import Detections
from service.imaging.masking import build_mask
from service.imaging.residual import residual, settled_share
from service.policy import Area, ClassPolicy, Policy, Shape

FACE = ClassPolicy(name="face", threshold=0.2, margin=0, min_margin=0, shape=Shape.ELLIPSE)


def found(*boxes):
    n = len(boxes)
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(xyxy, np.ones(n, np.float32), *(np.zeros(n, np.int32),) * 2, ("face",), ("m/1",))


def mask(*boxes, exclude=(), regions=()):
    return build_mask(found(*boxes), Policy(classes=(FACE,), exclude=exclude, regions=regions), 200, 200)


@pytest.mark.parametrize(
    ("box", "left"),
    [
        ((50, 50, 90, 90), False),
        # The bounds of the whole ellipse, and of its feather.
        ((41, 41, 99, 99), False),
        ((37, 37, 103, 103), False),
        # Half of it looks out.
        ((70, 50, 130, 90), True),
        ((120, 120, 160, 160), True),
        ((-20, 150, 30, 230), True),
    ],
)
def test_a_detection_is_residual_if_most_of_it_is_open(box, left):
    hidden = mask((50, 50, 90, 90))
    assert len(residual(found(box), hidden)) == left


def test_what_the_policy_excludes_is_not_residual_and_what_it_hides_in_any_case_is_hidden():
    excluded, region = Area.from_box(0, 0, 60, 60), Area.from_box(100, 100, 160, 160)
    hidden = mask(exclude=(excluded,), regions=(region,))
    assert len(residual(found((10, 10, 50, 50), (105, 105, 150, 150)), hidden)) == 0
    assert len(residual(found((10, 10, 50, 50), (105, 105, 150, 150)), mask())) == 2


def test_the_share_is_of_the_pixels_that_there_are():
    assert settled_share(mask(), [150.0, 150.0, 260.0, 260.0]) == 0
    assert settled_share(mask(), [250.0, 250.0, 260.0, 260.0]) == 1
    half = mask(regions=(Area.from_box(0, 0, 50, 200),))
    assert settled_share(half, [25.0, 10.0, 75.0, 20.0]) == 0.5
