"""What a mask hides cannot be read out of it: quick versions of `benchmarks.attack`, which fail if the default weakens.

That nothing hidden has a say in a mask is proven elsewhere (`test_obscuring_properties.py`); here it is attacked.

Each attack also runs against a control that is known to be broken, so that none passes because it cannot attack.
"""

import numpy as np
import pytest

from benchmarks.attack import deconvolution, faces, plates
from benchmarks.attack.views import frames, gaussian, mosaic, requests, shown, veil
from service.policy import Obscure

PLATE, FACE = plates.box(), faces.BOX
FACE_WIDTH = FACE[2] - FACE[0]

MODES = [
    pytest.param({}, id="default"),
    pytest.param({"obscure": Obscure.PIXELATE}, id="pixelate"),
    pytest.param({"strength": 2.0}, id="strength"),
    pytest.param({"obscure": Obscure.FILL}, id="fill"),
]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("control", [gaussian(plates.HEIGHT / 8, PLATE), mosaic(plates.HEIGHT / 4, PLATE)])
def test_the_plate_attack_reads_what_is_known_to_be_readable(control, rng):
    assert plates.recovered(control, 30, rng)[1] > 0.9
    assert plates.recovered(control, 30, rng, shift=1, light=0.03)[0] > 0.9


@pytest.mark.parametrize("way", MODES)
@pytest.mark.parametrize("errors", [{}, {"shift": 1.0, "light": 0.03}], ids=["ideal", "realistic"])
def test_plates_cannot_be_read(way, errors, rng):
    characters, whole = plates.recovered(veil("plate", PLATE, plates.SIZE, **way), 60, rng, **errors)
    assert whole == 0
    # 420 characters at chance of 0.030: the standard error is 0.008.
    assert characters < 0.06


@pytest.mark.parametrize("control", [gaussian(FACE_WIDTH / 8, FACE), mosaic(FACE_WIDTH / 8, FACE)])
def test_the_face_attack_recognizes_what_is_known_to_be_recognizable(control, rng):
    assert faces.recognized(control, faces.same, rng) > 0.9
    assert faces.recognized(control, faces.another, rng) > 0.4


@pytest.mark.parametrize("way", MODES)
@pytest.mark.parametrize("owned", [faces.same, faces.another])
def test_faces_are_not_recognized(way, owned, rng):
    # A hundred faces at chance of 0.010: the standard error is 0.010.
    assert faces.recognized(veil("face", FACE, faces.SIZE, **way), owned, rng) < 0.06


def test_asking_again_in_other_ways_does_not_average_the_noise_out(rng):
    plate = plates.recovered(requests("plate", PLATE, plates.SIZE, 6, rng), 60, rng)
    assert plate[1] == 0
    assert plate[0] < 0.09
    assert faces.recognized(requests("face", FACE, faces.SIZE, 6, rng), faces.another, rng) < 0.08


def test_some_photographs_of_one_plate_do_not_give_it_away(rng):
    characters, whole = plates.recovered(frames("plate", PLATE, plates.SIZE, 3, rng), 60, rng)
    assert whole == 0
    assert characters < 0.1


def test_deconvolution_sharpens_a_gaussian_and_nothing_else(rng):
    texts = rng.integers(0, len(plates.ALPHABET), (6, plates.LENGTH))
    sigma = plates.HEIGHT / 12
    blurred = [deconvolution.blurred(plates.picture(text), sigma) for text in texts]
    assert deconvolution.recovered(blurred, texts, [sigma]) > 0.9
    for way in ({}, {"obscure": Obscure.FILL}):
        masked = [shown("plate", PLATE, plates.picture(text), b"secret", **way) for text in texts]
        assert deconvolution.recovered(masked, texts, [sigma, 3 * sigma]) < 0.15
