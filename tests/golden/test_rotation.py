"""Turning a panorama does not change what is hidden: real faces and plates at known places, searched by the models.

The small version of `python -m benchmarks.rotation`.
"""

import math

import pytest

from benchmarks.rotation import HIDDEN, LEANING, searching, shares
from benchmarks.spherical_scene import Placed, compose, ground, plate, portrait, roll, turn

pytestmark = pytest.mark.timeout(600)

WIDTH = 1024
R = math.radians(1)
PLACED = [
    Placed(portrait(), 180 * R, 0, 16 * R),
    Placed(portrait(), 0, 8 * R, 16 * R),
    Placed(portrait(), 60 * R, 60 * R, 18 * R),
    Placed(portrait(), -70 * R, -72 * R, 20 * R),
    Placed(plate("B VL 4711"), 178 * R, -28 * R, 6 * R),
]


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (115, 0), (0, 80), (0, -60)])
async def test_what_is_upright_is_hidden_wherever_it_comes_to_lie(yaw: int, pitch: int):
    scene, rotation = compose(ground(WIDTH * 3 // 2), PLACED), turn(yaw * R, pitch * R)
    async with searching() as search:
        hidden = await shares(scene, PLACED, rotation, WIDTH, search)
    upright = [roll(each, rotation) <= LEANING * R for each in PLACED]
    assert sum(upright) >= 2
    for each, share, counts in zip(PLACED, hidden, upright, strict=True):
        assert share >= HIDDEN or not counts, f"{each.thing.name} at {each.longitude / R:.0f}, {each.latitude / R:.0f}"


async def test_without_the_sphere_objects_are_missed():
    scene = compose(ground(WIDTH * 3 // 2), PLACED)
    missed = 0
    async with searching() as search:
        for yaw, pitch in ((0, 0), (0, 80)):
            rotation = turn(yaw * R, pitch * R)
            hidden = await shares(scene, PLACED, rotation, WIDTH, search.flat())
            missed += sum(
                share < HIDDEN
                for share, each in zip(hidden, PLACED, strict=True)
                if roll(each, rotation) <= LEANING * R
            )
    assert missed >= 2
