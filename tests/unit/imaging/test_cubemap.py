"""Six faces as one sphere: where they lie, and that masks of the sphere are those of the faces."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.imaging.cubemap import FACES, face_masks, panorama, whole_mask
from service.imaging.curved import bounds
from service.imaging.detections import Detections
from service.imaging.raster import ColorModel, Raster
from service.imaging.sphere import Sphere, axes, into_frame, towards
from service.policy import ClassPolicy, Policy, Shape
from tests.cube_pictures import NAMES, face_angles, face_of

SIDE = 96
SPHERE = Sphere.whole(4 * SIDE, 2 * SIDE)
FLAT = (math.nan,) * 6
ANGLES = {name: face_angles(name, SIDE) for name in NAMES}


def policy(shape: Shape = Shape.BOX, nadir: float = 0.0) -> Policy:
    face = ClassPolicy(name="face", threshold=0.2, margin=0, min_margin=0, shape=shape)
    return Policy(classes=(face,), nadir_mask=nadir)


def found(*rows: tuple[float, ...]) -> Detections:
    """Each four numbers of a flat box in the panorama, or six of a curved one."""
    curved = np.array([row if len(row) == 6 else FLAT for row in rows]).reshape(-1, 6)
    xyxy = np.array([bounds(np.array([row]), SPHERE)[0] if len(row) == 6 else row for row in rows]).reshape(-1, 4)
    ids = np.zeros(len(rows), np.int32)
    scores = np.full(len(rows), 0.9, np.float32)
    return Detections(xyxy.astype(np.float32), scores, ids, ids, ("face",), ("m/1",), SPHERE, curved).sorted()


def smooth_scene() -> np.ndarray:
    """A panorama of which each place has a color of its own, without a seam."""
    rays = SPHERE.rays((0, 0, SPHERE.width, SPHERE.height))
    return np.rint(np.moveaxis(rays, 0, -1) * 110 + 128).astype(np.uint8)


def test_the_faces_are_put_together_as_documented():
    scene = smooth_scene()
    faces = {name: Raster(face_of(scene, name, SIDE), ColorModel.RGB, alpha=False) for name in NAMES}
    whole = panorama(faces)
    assert whole.pixels.shape == (2 * SIDE, 4 * SIDE, 3)
    assert np.abs(whole.pixels.astype(int) - scene).max() <= 3


def test_a_face_in_the_wrong_place_is_seen():
    scene = smooth_scene()
    faces = {name: Raster(face_of(scene, name, SIDE), ColorModel.RGB, alpha=False) for name in NAMES}
    faces["left"], faces["right"] = faces["right"], faces["left"]
    assert np.abs(panorama(faces).pixels.astype(int) - scene).max() > 50


def test_an_orientation_tag_counts():
    scene = smooth_scene()
    faces = {name: Raster(face_of(scene, name, SIDE), ColorModel.RGB, alpha=False) for name in NAMES}
    on_its_head = np.ascontiguousarray(faces["up"].pixels[::-1, ::-1])
    faces["up"] = Raster(on_its_head, ColorModel.RGB, alpha=False, orientation=3)
    assert np.abs(panorama(faces).pixels.astype(int) - scene).max() <= 3


@settings(max_examples=60, deadline=None)
@given(
    longitude=st.floats(-math.pi, math.pi),
    latitude=st.floats(-math.pi / 2, math.pi / 2),
    half=st.floats(0.02, 0.6),
    shape=st.sampled_from(Shape),
)
def test_every_face_hides_its_part_of_a_curved_box(longitude: float, latitude: float, half: float, shape: Shape):
    masks = face_masks(found((longitude, latitude, -half, -half, half, half)), policy(shape), SIDE)
    frame = axes(np.array(longitude), np.array(latitude))
    hidden = 0
    for name, (of_lon, of_lat) in ANGLES.items():
        u, v = np.moveaxis(into_frame(towards(of_lon, of_lat), frame), -1, 0)
        inside = (np.abs(u) <= half) & (np.abs(v) <= half)
        covered = masks[name].coverage()
        assert covered[inside].all(), name
        hidden += int(inside.sum())
        wide = math.sqrt(2) * half + 8 / SIDE * (1 + half**2)
        beyond = ~((np.abs(u) <= wide) & (np.abs(v) <= wide))
        assert not covered[beyond].any(), name
    assert hidden > 0


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(0, 4 * SIDE - 1),
    y=st.floats(SIDE * 0.6, SIDE * 1.3),
    side=st.floats(3, 60),
    shape=st.sampled_from(Shape),
)
def test_a_flat_box_is_hidden_in_each_face_that_shows_it(x: float, y: float, side: float, shape: Shape):
    masks = face_masks(found((x, y, x + side, y + side)), policy(shape), SIDE)
    for name, (longitude, latitude) in ANGLES.items():
        across = (longitude / (2 * math.pi) + 0.5) * 4 * SIDE
        down = (0.5 - latitude / math.pi) * 2 * SIDE
        inside = ((across - x) % (4 * SIDE) <= side) & (down >= y) & (down <= y + side)
        assert masks[name].coverage()[inside].all(), name


@pytest.mark.parametrize("degrees", [10, 30, 60])
def test_the_nadir_is_hidden_in_the_faces_that_show_it(degrees: float):
    masks = face_masks(found(), policy(nadir=degrees), SIDE)
    for name, (_, latitude) in ANGLES.items():
        down = np.degrees(latitude) + 90
        covered = masks[name].coverage()
        assert covered[down <= degrees].all(), name
        assert not covered[down > degrees + 6].any(), name


def test_nothing_found_hides_nothing_and_the_whole_has_the_same_objects():
    assert not any(masks.regions for masks in face_masks(found(), policy(), SIDE).values())
    row = (math.pi, 0.3, -0.2, -0.2, 0.2, 0.2)
    assert len({region.outline for region in whole_mask(found(row), policy(), SIDE).regions}) == 2, "across the seam"
    assert [name for name in FACES if face_masks(found(row), policy(), SIDE)[name].regions] == ["back"]
