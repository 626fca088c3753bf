"""A trained recognizer names clear and blurred faces and no masked one: a quick version of `benchmarks.attack`."""

import numpy as np
import pytest

from benchmarks.attack import people, recognition
from benchmarks.attack.chance import Share
from benchmarks.attack.recognizer import MissingRecognizer, Recognizer

COUNT = 16
"""People; the descriptors of a gallery of them take some seconds."""


@pytest.fixture(scope="module")
def attack():
    try:
        recognizer = Recognizer()
    except MissingRecognizer as missing:
        pytest.skip(str(missing))
    return recognition.Attack(recognizer, people.shipped(recognizer, COUNT), np.random.default_rng(1))


@pytest.mark.slow
def test_the_recognizer_names_what_can_be_named(attack):
    same, another, parrot = attack.named(recognition.gaussian(1 / 24))
    assert same.value > 0.5
    assert another.value > 0.25
    assert parrot.value > 0.9


@pytest.mark.slow
def test_the_recognizer_names_no_face_that_is_hidden_by_default(attack):
    for share in attack.named(recognition.veil()):
        assert share.holds(attack.chance), f"{share} against {attack.chance}"


def test_the_interval_of_a_share_is_wilson_s():
    # Worked example: 81 of 263 lie in 0.2553–0.3662 (Newcombe, Statistics in Medicine 17, 1998, table I).
    assert Share(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert Share(0, 100).interval[0] == 0
    assert Share(1, 100).holds(0.01)
    assert not Share(12, 100).holds(0.01)
