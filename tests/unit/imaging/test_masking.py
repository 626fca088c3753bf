"""Where a mask lies: grown, rounded outward, minus what is excluded, plus what the policy hides in any case."""

import numpy as np
import pytest

from service.imaging.detections import Detections
from service.imaging.masking import MIN_SIDE, build_mask
from service.imaging.outlines import BoxOutline, EllipseOutline, PolygonOutline, polygon_pixels
from service.policy import Area, ClassPolicy, Obscure, Policy, Shape

FACE = ClassPolicy(name="face", threshold=0.2, margin=0.1, shape=Shape.ELLIPSE)
PLATE = ClassPolicy(name="plate", threshold=0.2, margin=0.1, min_margin=0, shape=Shape.BOX)


def policy(*, face=FACE, plate=PLATE, **values):
    return Policy(classes=(face, plate), **values)


def found(*rows):
    """Detections of (x1, y1, x2, y2, class name)."""
    names = ("face", "plate")
    ids = np.array([names.index(r[4]) for r in rows], np.int32)
    xyxy = np.array([r[:4] for r in rows], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.ones(len(ids), np.float32), ids, np.zeros(len(ids), np.int32), names, ("m/1",))


def box(x1, y1, x2, y2, shape=(100, 100)):
    expected = np.zeros(shape, np.bool_)
    expected[y1:y2, x1:x2] = True
    return expected


def test_a_plate_is_hidden_with_its_margin_rounded_outward():
    covered = build_mask(found((20.5, 30, 60.5, 40, "plate")), policy(), 100, 100).coverage()
    assert np.array_equal(covered, box(16, 29, 65, 41))


def test_the_margin_is_at_least_some_pixels():
    grown = PLATE.model_copy(update={"min_margin": 3.0})
    covered = build_mask(found((20, 30, 60, 40, "plate")), policy(plate=grown), 100, 100).coverage()
    assert np.array_equal(covered, box(16, 27, 64, 43))


def test_an_ellipse_holds_the_grown_box_and_no_corner_of_its_own_bounds():
    covered = build_mask(found((30, 30, 60, 70, "face")), policy(), 100, 100).coverage()
    assert covered[26:74, 27:63].all()
    # Semi-axes 18√2 and 24√2 around (45, 50).
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (16, 83, 19, 70)
    assert not covered[16, 19]
    assert not covered[83, 70]


@pytest.mark.parametrize("name", ["face", "plate"])
@pytest.mark.parametrize("rows", [(50, 50, 51, 51), (50, 50, 50, 50), (51, 51, 49, 49)])
def test_tiny_empty_and_inverted_boxes_are_enlarged_and_never_skipped(name, rows):
    covered = build_mask(found((*rows, name)), policy(), 100, 100).coverage()
    assert covered[46:54, 46:54].all()
    assert covered.sum() < (2 * MIN_SIDE) ** 2


def test_boxes_over_the_border_are_hidden_as_far_as_there_is_picture():
    covered = build_mask(found((-20, 90, 20, 130, "plate"), (300, 300, 320, 320, "face")), policy(), 100, 100)
    assert np.array_equal(covered.coverage(), box(0, 86, 24, 100))


def test_the_feather_lies_outside_the_core_and_falls_to_nothing():
    mask = build_mask(found((30, 30, 60, 70, "face"), (70, 10, 90, 20, "plate")), policy(), 100, 100)
    for region in mask.regions:
        x1, y1, x2, y2 = mask.window(region)
        alpha = mask.alpha(region, (x1, y1, x2, y2))
        assert alpha.dtype == np.float32
        assert alpha.shape == (y2 - y1, x2 - x1)
        assert alpha.max() == 1
        middle = alpha[(y2 - y1) // 2]
        rise = middle[: middle.argmax() + 1]
        assert (np.diff(rise) > 0).all()
        assert len(rise) > 2
        assert rise[0] < 0.3
        # Nothing beyond the window would have any weight.
        assert region.outline.alpha((x1 - 3, y1 - 3, x2 + 3, y1)).max() == 0


@pytest.mark.parametrize(
    "outline",
    [
        EllipseOutline(45.3, 50.1, 20, 30),
        BoxOutline((10.5, 12, 80, 60.2)),
        PolygonOutline(Area(points=((5, 8), (90, 20.5), (40, 95)))),
    ],
)
def test_an_outline_computed_in_bands_is_the_same(outline):
    whole = outline.alpha((0, 0, 100, 100))
    bands = [outline.alpha((0, y, 100, y + 10)) for y in range(0, 100, 10)]
    # The distance transform of polygons chains from pixel to pixel, in another order: a hair of difference.
    assert np.allclose(np.concatenate(bands), whole, atol=1e-5)
    assert np.array_equal(np.concatenate(bands) == 1, whole == 1)


def test_excluded_areas_stay_untouched_unless_the_policy_hides_them_in_any_case():
    excluded = Area.from_box(10, 10, 40, 40)
    forced = Area.from_box(20, 20, 30, 30)
    mask = build_mask(
        found((20, 30, 60, 50, "plate"), (5, 5, 30, 30, "face")),
        policy(exclude=(excluded,), regions=(forced,)),
        100,
        100,
    )
    covered = mask.coverage()
    assert np.array_equal(covered[10:40, 10:40], box(20, 20, 30, 30)[10:40, 10:40])
    assert covered[41:52, 16:64].all()
    for region in mask.regions:
        if not region.forced:
            assert (mask.alpha(region, (10, 10, 40, 40)) == 0).all()


def test_a_pixel_that_is_excluded_in_part_is_hidden():
    excluded = Area.from_box(10.5, 10.5, 39.5, 39.5)
    covered = build_mask(found((5, 5, 60, 60, "plate")), policy(exclude=(excluded,)), 100, 100).coverage()
    assert np.array_equal(~covered[10:40, 10:40], box(1, 1, 29, 29, (30, 30)))


def test_regions_are_hidden_as_drawn_and_with_the_policy_s_own_treatment():
    triangle = Area(points=((10, 10), (50, 10), (10, 50)))
    square = Area.from_box(60, 60, 80, 90)
    values = {"regions": (triangle, square), "region_obscure": Obscure.FILL, "region_strength": 2.0}
    mask = build_mask(found(), policy(**values), 100, 100)
    assert [type(r.outline) for r in mask.regions] == [PolygonOutline, BoxOutline]
    assert {(r.obscure, r.strength) for r in mask.regions} == {(Obscure.FILL, 2.0)}
    columns, rows = np.meshgrid(np.arange(100), np.arange(100))
    touched = (columns >= 10) & (rows >= 10) & (columns + rows < 60)
    assert np.array_equal(mask.coverage(), touched | box(60, 60, 80, 90))


def test_a_polygon_that_crosses_itself_is_hidden_all_over_and_excluded_only_where_it_is_certain():
    star = Area(points=((50, 5), (80, 95), (5, 40), (95, 40), (20, 95)))
    touched, inside = polygon_pixels(star, (0, 0, 100, 100))
    assert touched[55, 50]
    assert not inside[55, 50]
    assert inside[20, 50]


def test_boxes_inside_others_of_their_class_cost_nothing():
    rows = [(20, 20, 60, 60), (25, 25, 55, 55), (20, 20, 60, 60), (50, 50, 70, 70)]
    for name, outline in (("face", EllipseOutline), ("plate", BoxOutline)):
        mask = build_mask(found(*((*r, name) for r in rows)), policy(), 100, 100)
        assert [type(r.outline) for r in mask.regions] == [outline] * 2
        separate = [build_mask(found((*r, name)), policy(), 100, 100).coverage() for r in rows]
        assert np.array_equal(mask.coverage(), np.logical_or.reduce(separate))


def test_each_region_carries_its_class_s_treatment():
    strict = PLATE.model_copy(update={"obscure": Obscure.PIXELATE, "strength": 2.0})
    mask = build_mask(found((0, 0, 20, 20, "face"), (50, 50, 90, 60, "plate")), policy(plate=strict), 100, 100)
    assert {(r.name, r.obscure, r.strength, r.cells) for r in mask.regions} == {
        ("face", Obscure.BLUR, 1.0, 2),
        ("plate", Obscure.PIXELATE, 2.0, 2),
    }


def test_what_cannot_be_placed_or_was_not_asked_for_is_an_error():
    with pytest.raises(ValueError, match="finite"):
        build_mask(found((0, 0, np.nan, 5, "face")), policy(), 100, 100)
    with pytest.raises(KeyError):
        build_mask(found((0, 0, 5, 5, "face")), Policy(classes=(PLATE,)), 100, 100)
