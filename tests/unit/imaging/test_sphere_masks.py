"""Masks and counts on the sphere: across the seam, over the poles, each object once."""

import math

import numpy as np
import pytest

from service.imaging.curved import bounds, flat_as_curved, polygon
from service.imaging.detections import Detections
from service.imaging.fusion import suppress
from service.imaging.masking import Mask, build_mask
from service.imaging.obscuring import obscure
from service.imaging.raster import ColorModel, Raster
from service.imaging.residual import residual
from service.imaging.sphere import Sphere, axes, into_frame, towards
from service.policy import Area, ClassPolicy, Obscure, Policy, Shape

WIDTH, HEIGHT = 1200, 600
SPHERE = Sphere.whole(WIDTH, HEIGHT)
FLAT = (np.nan,) * 6


def found(*rows: tuple[tuple[float, ...], float], sphere: Sphere = SPHERE) -> Detections:
    """Detections of one class, each four numbers of a flat box or six of a curved one, and a score."""
    curved = np.array([values if len(values) == 6 else FLAT for values, _ in rows]).reshape(-1, 6)
    xyxy = np.array([bounds(np.array([v]), sphere)[0] if len(v) == 6 else v for v, _ in rows]).reshape(-1, 4)
    ids = np.zeros(len(rows), np.int32)
    scores = np.array([score for _, score in rows], np.float32)
    return Detections(xyxy.astype(np.float32), scores, ids, ids, ("face",), ("m/1",), sphere, curved).sorted()


def policy(shape: Shape = Shape.BOX, **values: object) -> Policy:
    face = ClassPolicy(name="face", threshold=0.2, margin=0, min_margin=0, shape=shape)
    return Policy.model_validate({"classes": (face,), **values})


def masked(*rows: tuple[float, ...], shape: Shape = Shape.BOX, **values: object) -> Mask:
    return build_mask(found(*((row, 0.9) for row in rows)), policy(shape, **values), WIDTH, HEIGHT)


def seen_from(longitude: float, latitude: float) -> np.ndarray:
    """u, v (HEIGHT, WIDTH, 2) of every pixel in the frame that looks there; NaN behind."""
    rays = np.moveaxis(SPHERE.rays((0, 0, WIDTH, HEIGHT)), 0, -1).astype(np.float64)
    return into_frame(rays, axes(np.array(longitude), np.array(latitude)))


@pytest.mark.parametrize("latitude", [0, 40, 75, 90, -60, -90])
@pytest.mark.parametrize("longitude", [0, 100, 180, -179])
def test_a_curved_box_hides_what_the_view_saw_and_hardly_more(longitude: float, latitude: float):
    box = (math.radians(longitude), math.radians(latitude), -0.2, -0.15, 0.1, 0.25)
    covered = masked(box).coverage()
    u, v = np.moveaxis(seen_from(*box[:2]), -1, 0)
    inside = (u >= -0.2) & (u <= 0.1) & (v >= -0.15) & (v <= 0.25)
    assert covered[inside].all()
    beyond = 4 * math.pi / HEIGHT
    around = (u >= -0.2 - beyond) & (u <= 0.1 + beyond) & (v >= -0.15 - beyond) & (v <= 0.25 + beyond)
    assert not covered[~around].any()


def test_an_ellipse_holds_its_box_and_is_round_in_the_view():
    box = (math.pi, math.radians(70), -0.1, -0.1, 0.1, 0.1)
    covered = masked(box, shape=Shape.ELLIPSE).coverage()
    u, v = np.moveaxis(seen_from(*box[:2]), -1, 0)
    radius = np.hypot(u, v)
    assert covered[np.maximum(abs(u), abs(v)) <= 0.1].all()
    assert covered[radius <= 0.1 * math.sqrt(2)].all()
    assert not covered[~(radius <= 0.1 * math.sqrt(2) + 4 * math.pi / HEIGHT)].any()


@pytest.mark.parametrize("shape", Shape)
def test_a_flat_box_across_the_seam_is_hidden_on_both_sides(shape: Shape):
    covered = masked((1180.0, 280.0, 1230.0, 320.0), shape=shape).coverage()
    assert covered[285:315, 1180:].all()
    assert covered[285:315, :30].all()
    assert not covered[:, 60:1140].any()


def test_what_is_hidden_does_not_depend_on_where_the_seam_is():
    boxes = [(x, 250.0, x + 40.0, 300.0) for x in (0.0, 300.0, 1190.0)]
    curved = [(math.radians(d), 1.2, -0.1, -0.1, 0.12, 0.1) for d in (-170, 10, 175)]
    here = masked(*boxes, *curved, shape=Shape.ELLIPSE).coverage()
    moved_boxes = [((x + 500) % WIDTH, y, (x + 500) % WIDTH + 40, y2) for x, y, _, y2 in boxes]
    moved_curved = [(longitude + 500 / WIDTH * 2 * math.pi, *rest) for longitude, *rest in curved]
    there = masked(*moved_boxes, *moved_curved, shape=Shape.ELLIPSE).coverage()
    assert (np.roll(here, 500, axis=1) != there).mean() < 1e-4


def test_a_region_across_the_seam_goes_on_at_the_other_side_and_so_does_what_is_excluded():
    areas = {"regions": (Area.from_box(1150, 200, 1250, 240),), "exclude": (Area.from_box(-50, 300, 50, 400),)}
    covered = masked((0.0, 300.0, 1200.0, 400.0), **areas).coverage()
    assert covered[200:240, 1150:].all()
    assert covered[200:240, :50].all()
    assert not covered[302:398, :49].any()
    assert not covered[302:398, 1151:].any()
    assert covered[302:398, 60:1140].all()


def test_the_nadir_is_hidden_as_far_as_the_deployment_says():
    covered = masked(nadir_mask=30).coverage()
    assert covered[500:].all()
    assert not covered[:490].any()
    flat = Detections.empty(("face",), ("m/1",))
    assert not build_mask(flat, policy(nadir_mask=30), WIDTH, HEIGHT).coverage().any(), "no panorama, no nadir"
    assert policy(nadir_mask=30).digest != policy().digest


def test_one_object_seen_in_several_views_counts_once():
    there = towards(np.array(math.pi), np.array(math.radians(47)))
    views = [(3.0, 0.7), (-3.0, 0.9), (2.9, 1.1)]
    rows: list[tuple[tuple[float, ...], float]] = []
    for longitude, latitude in views:
        u, v = into_frame(there, axes(np.array(longitude), np.array(latitude)))
        rows.append(((longitude, latitude, u - 0.05, v - 0.05, u + 0.05, v + 0.05), 0.5 + latitude / 10))
    x, y = SPHERE.pixels(there)
    half = 0.05 * SPHERE.resolution
    rows.append(((x - half * 1.45, y - half, x + half * 1.45, y + half), 0.4))
    assert len(suppress(found(*rows))) == 1
    apart = ((3.0 - 0.4, 0.7, -0.05, -0.05, 0.05, 0.05), 0.9)
    assert len(suppress(found(*rows, apart))) == 2


def test_objects_around_a_pole_are_counted_one_by_one():
    around = [((math.radians(d), math.radians(80), -0.04, -0.04, 0.04, 0.04), 0.9) for d in range(0, 360, 60)]
    over = ((0.0, math.pi / 2, -0.04, -0.04, 0.04, 0.04), 0.8)
    assert len(suppress(found(*around, over))) == 7


def test_a_box_on_either_side_of_the_seam_is_the_same_object():
    rows = [
        ((1185.0, 280.0, 1225.0, 320.0), 0.9),
        ((1183.0, 281.0, 1222.0, 322.0), 0.8),
        ((0.0, 281.0, 24.0, 320.0), 0.5),
    ]
    assert len(suppress(found(*rows))) == 1
    regions = build_mask(found(*rows), policy(), WIDTH, HEIGHT).regions
    assert len(regions) == 2, "one object, shown at both edges"


def test_a_flat_box_lies_in_its_curved_one():
    boxes = np.array([[1180.0, 100.0, 1300.0, 180.0], [0.0, 290.0, 60.0, 310.0]])
    for box, curved in zip(boxes, flat_as_curved(boxes, SPHERE), strict=True):
        xs, ys = np.meshgrid(np.linspace(box[0], box[2], 20), np.linspace(box[1], box[3], 20))
        uv = into_frame(SPHERE.directions(np.stack([xs, ys], axis=-1)), axes(*curved[:2, None])[0])
        assert (uv >= curved[2:4] - 1e-9).all()
        assert (uv <= curved[4:] + 1e-9).all()


@pytest.mark.parametrize("latitude", [50, 85, -85])
def test_the_answered_outline_is_that_of_what_was_seen(latitude: float):
    box = np.array([math.pi - 0.05, math.radians(latitude), -0.15, -0.1, 0.15, 0.1])
    points = polygon(box, SPHERE)
    area = 0.5 * abs(np.dot(points[:, 0], np.roll(points[:, 1], 1)) - np.dot(points[:, 1], np.roll(points[:, 0], 1)))
    u, v = np.moveaxis(seen_from(*box[:2]), -1, 0)
    inside = (abs(u) <= 0.15) & (abs(v) <= 0.1)
    assert area == pytest.approx(inside.sum(), rel=0.03)


def test_what_is_hidden_on_the_sphere_is_not_residual():
    rows = [((1180.0, 280.0, 1230.0, 320.0), 0.9), ((2.0, 1.3, -0.1, -0.1, 0.1, 0.1), 0.9)]
    hidden = build_mask(found(*rows), policy(Shape.ELLIPSE), WIDTH, HEIGHT)
    assert len(residual(found(*rows), hidden)) == 0
    elsewhere = [((580.0, 280.0, 630.0, 320.0), 0.9), ((2.0, -1.3, -0.1, -0.1, 0.1, 0.1), 0.9)]
    assert len(residual(found(*elsewhere), hidden)) == 2


@pytest.mark.parametrize("obscuring", Obscure)
def test_masks_over_seam_and_pole_are_obscured(obscuring: Obscure):
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    raster = Raster(pixels.copy(), ColorModel.RGB, alpha=False)
    face = ClassPolicy(name="face", threshold=0.2, margin=0, shape=Shape.ELLIPSE, obscure=obscuring)
    rows = [((1180.0, 280.0, 1230.0, 320.0), 0.9), ((0.5, 1.5, -0.1, -0.1, 0.1, 0.1), 0.9)]
    mask = build_mask(found(*rows), Policy(classes=(face,)), WIDTH, HEIGHT)
    covered = mask.coverage()
    shown = obscure(raster, mask, b"secret").raster.pixels
    assert covered[0].all(), "the pole"
    left = np.abs(shown[covered].astype(int) - pixels[covered]).mean()
    assert left > 40, "noise against a few means"
    untouched = np.ones_like(covered)
    for region in mask.regions:
        x1, y1, x2, y2 = mask.window(region)
        untouched[y1:y2, x1:x2] = False
    assert np.array_equal(shown[untouched], pixels[untouched])
