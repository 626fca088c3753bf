"""The generator: plates where it says, targets that lead back to the boxes, lists that share no photograph."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from training import crops, photographs, targets
from training.fonts import Fonts
from training.photographs import LISTS, Labels, Photographs, boxes
from training.plates import STYLES, Plates
from training.rendering import paste, rectangle, seen_from
from training.samples import Mixture, Samples
from training.signs import Signs
from training.styles import ALPHABETS, Catalog, Line, Style, draw, spell


def test_lists_are_disjoint() -> None:
    train, dev, test = (photographs.ids(name) for name in ("train", "dev", "test"))
    assert len(train) > 1000 < len(train | dev | test)
    assert len(train) + len(dev) + len(test) == len(train | dev | test)


def test_what_nobody_annotated_is_spared_on_the_evaluation_lists_alone() -> None:
    lists = photographs.ids("dev") | photographs.ids("test")
    names = set(json.loads((photographs.LISTS / "unannotated.json").read_text(encoding="utf-8")))
    assert names
    assert names <= lists
    none = photographs.boxes([])
    labels = photographs.Labels(min(names), Path("x.jpg"), photographs.boxes([[0, 0, 9, 3]]), none, none)
    spared = photographs.spared(labels)
    assert len(spared.unclear) > 0
    assert (spared.plates == labels.plates).all()
    assert len(photographs.spared(replace(labels, id="other")).unclear) == 0


def test_reviewed_boxes_are_of_training_photographs_only() -> None:
    """A verdict on a dev or test photograph would be training on them."""
    reviewed = photographs.reviewed()
    assert set(reviewed) <= photographs.ids("train")
    rows = [row for verdicts in reviewed.values() for row in verdicts]
    assert {row[4] for row in rows} == {"plate", "lookalike", "unclear"}
    assert all(row[0] < row[2] and row[1] < row[3] for row in rows)


def test_each_style_is_drawn_with_the_fonts_it_needs(fonts: Fonts) -> None:
    catalog = Catalog(STYLES, fonts)
    assert len(catalog.styles) + catalog.left_out == len(STYLES)
    assert all(style.scripts <= fonts.scripts for style in catalog.styles)
    for style in catalog.styles:
        plate = draw(style, fonts, np.random.default_rng(1))
        aspect = plate.shape[1] / plate.shape[0]
        assert style.aspect[0] - 0.05 < aspect < style.aspect[1] + 0.05
        assert plate.std() > 5, "something is written on it"


def test_patterns_spell_only_what_they_say() -> None:
    text = spell("ld-A9 n", np.random.default_rng(2))
    assert text[0] in ALPHABETS["l"]
    assert text[1] in ALPHABETS["d"]
    assert text[2:6] == "-A9 "
    assert text[6] in ALPHABETS["n"]


def test_a_script_without_a_font_is_left_out(fonts: Fonts) -> None:
    plain = Style(1, (2, 3), STYLES[0].colors, (Line(("d",)),))
    assert Catalog([plain, Style(1, (2, 3), STYLES[0].colors, (Line(("n",), script="nowhere"),))], fonts).left_out == 1


def test_pasting_changes_the_box_it_returns_and_nothing_far_from_it(fonts: Fonts) -> None:
    rng = np.random.default_rng(3)
    picture = np.full((200, 300, 3), 90, np.uint8)
    quad = rectangle(80, 30) + np.array([100, 60], np.float32)
    assert paste(picture, Plates(fonts).draw(rng), quad, rng) == (100, 60, 180, 90)
    changed = np.abs(picture.astype(int) - 90).max(2) > 12
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert rows.min() >= 50
    assert rows.max() <= 100
    assert columns.min() >= 90
    assert columns.max() <= 190
    assert changed[60:90, 100:180].mean() > 0.3


def test_what_lies_outside_is_not_pasted(fonts: Fonts) -> None:
    picture = np.zeros((50, 50, 3), np.uint8)
    rng = np.random.default_rng(4)
    assert paste(picture, Plates(fonts).draw(rng), rectangle(20, 10) + np.float32(200), rng) is None
    assert not picture.any()


def test_every_kind_of_sign_is_drawn(fonts: Fonts) -> None:
    signs, rng = Signs(fonts), np.random.default_rng(6)
    assert all(signs.panel(rng).shape[2] == 3 for _ in range(40))
    picture = np.full((100, 300, 3), 128, np.uint8)
    signs.paint(picture, 150, 50, 30, rng)
    assert (picture != 128).any()


def test_targets_lead_back_to_the_boxes() -> None:
    plates = [[40.0, 100.0, 120.0, 130.0], [200.0, 30.0, 209.0, 36.0]]
    found = targets.target(plates, [[0, 300, 320, 320]], 320)
    for y, x in zip(*np.nonzero(found.heat == targets.POSITIVE), strict=True):
        left, top, right, bottom = found.distances[:, y, x].astype(float)
        center_x, center_y = (x + 0.5) * 4, (y + 0.5) * 4
        box = [center_x - left, center_y - top, center_x + right, center_y + bottom]
        assert any(np.allclose(box, plate, atol=0.2) for plate in plates)
    weight = found.weight.astype(float)
    assert weight[found.heat == targets.POSITIVE].sum() == pytest.approx(len(plates), abs=0.01)
    beside = (found.heat == targets.IGNORED) & (weight > 0)
    assert beside.any(), "a peak may lie beside the middle of a plate"
    assert weight[beside].sum() < len(plates)
    for y, x in zip(*np.nonzero(beside), strict=True):
        left, top, right, bottom = found.distances[:, y, x].astype(float)
        assert any(abs(left + right - (x2 - x1)) < 3 and abs(top + bottom - (y2 - y1)) < 3 for x1, y1, x2, y2 in plates)
    assert (found.heat[75:, :] == targets.IGNORED).all()


def test_a_plate_mostly_outside_is_ignored() -> None:
    keep, ignore = targets.clip([[-60, 10, 20, 40], [-20, 10, 60, 40], [10, 10, 40, 13]], 320)
    assert keep == [[0, 10, 60, 40]]
    assert ignore == [[0, 10, 20, 40], [10, 10, 40, 13]]


def test_crops_move_boxes_with_the_pixels(labeled: list[Labels], photographs: Photographs) -> None:
    """A white plate on black comes out where the crop says, whatever was scaled, turned and mirrored."""
    place = labeled[0].plates
    picture = np.zeros((480, 640, 3), np.uint8)
    x1, y1, x2, y2 = place[0].astype(int)
    picture[y1:y2, x1:x2] = 255
    for seed in range(20):
        crop = crops.cut(picture, labeled[0], place, 320, np.random.default_rng(seed))
        left, top, right, bottom = crop.plates[0]
        rows, columns = (
            np.flatnonzero(crop.pixels[..., 0].max(1) > 200),
            np.flatnonzero(crop.pixels[..., 0].max(0) > 200),
        )
        if len(rows) and left > 1 and top > 1 and right < 319 and bottom < 319:
            seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            assert np.abs(np.array(seen) - crop.plates[0]).max() < 3


def test_erasing_leaves_no_plate(photographs: Photographs) -> None:
    picture = np.full((60, 160, 3), 100, np.uint8)
    picture[20:40, 40:120] = 255
    crops.erase(picture, boxes([[40, 20, 120, 40]])[0], np.random.default_rng(7))
    assert picture.max() < 130


def test_the_same_seed_gives_the_same_batches(photographs: Photographs, fonts: Fonts) -> None:
    first, again, other = (Samples(photographs, fonts, seed, textures=6).batch(4 * 320**2) for seed in (8, 8, 9))
    assert (first.pixels == again.pixels).all()
    assert (first.heat == again.heat).all()
    assert first.pixels.shape != other.pixels.shape or (first.pixels != other.pixels).any()


def test_mined_crops_hold_the_lookalike_and_call_nothing_a_plate(photographs: Photographs, fonts: Fonts) -> None:
    samples = Samples(photographs, fonts, 10, Mixture(mined=1.0, real=0.0, sides=(320,)), textures=4)
    assert not (samples.batch(8 * 320**2).heat == targets.POSITIVE).any()


def test_without_lookalikes_nothing_is_mined(labeled: list[Labels], fonts: Fonts, tmp_path: Path) -> None:
    some = Photographs.decode(labeled[:2], tmp_path)
    batch = Samples(some, fonts, 11, Mixture(mined=0.5, real=0.5, sides=(320,)), textures=4).batch(8 * 320**2)
    assert (batch.heat == targets.POSITIVE).any()


def test_a_picture_that_cannot_be_read_is_left_out(labeled: list[Labels], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    labels = [Labels("broken", broken, boxes([]), boxes([]), boxes([])), labeled[0]]
    assert len(Photographs.decode(labels, tmp_path / "cache")) == 1


def test_annotations_are_read_in_both_forms(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    cv2.imwrite(str(images / "aa_jpg.rf.1.jpg"), np.zeros((10, 10, 3), np.uint8))
    cv2.imwrite(str(images / "bb_jpg.rf.2.jpg"), np.zeros((10, 10, 3), np.uint8))
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>4</ymax></bndbox>"
    (images / "aa_jpg.rf.1.xml").write_text(f"<annotation><object>{box}</object></annotation>", encoding="utf-8")
    (voc,) = photographs.read_voc(images, images, frozenset({"aa", "bb"}))
    assert (voc.id, voc.plates.tolist()) == ("aa", [[1, 2, 5, 4]])
    document = {
        "categories": [{"id": 2, "name": "plate"}, {"id": 1, "name": "face"}],
        "images": [{"id": 7, "file_name": "aa.jpg", "subset": "s"}, {"id": 8, "file_name": "bb.jpg", "subset": "t"}],
        "annotations": [
            {"image_id": 7, "category_id": 2, "bbox": [1, 2, 4, 2], "iscrowd": 0},
            {"image_id": 7, "category_id": 2, "bbox": [0, 0, 1, 1], "iscrowd": 1},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 0},
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(document), encoding="utf-8")
    (coco,) = photographs.read_coco(tmp_path, ["s"])
    assert (coco.plates.tolist(), coco.unclear.tolist()) == ([[1, 2, 5, 4]], [[0, 0, 1, 1]])


def test_corrections_reach_the_labels() -> None:
    name, verdicts = next((n, v) for n, v in photographs.reviewed().items() if any(row[4] == "plate" for row in v))
    labels = photographs.corrected(Labels(name, LISTS, boxes([]), boxes([]), boxes([])))
    assert len(labels.plates) == sum(row[4] == "plate" for row in verdicts)
    assert len(labels.lookalikes) == sum(row[4] == "lookalike" for row in verdicts)


def test_square_plates_hang_askew_and_long_ones_seldom() -> None:
    def askew(aspect: float) -> float:
        rng = np.random.default_rng(5)
        top = np.array([np.subtract(*seen_from(0, 0, 100, aspect, rng)[[1, 0]]) for _ in range(400)])
        return float((np.abs(np.degrees(np.arctan2(top[:, 1], top[:, 0]))) > 20).mean())

    assert askew(1.2) > 2 * askew(4.5) > 0


def test_a_mixture_with_more_synthetic_plates_keeps_the_others_in_proportion() -> None:
    usual = Mixture()
    more = usual.with_synthetic(0.75)
    assert more.mined + more.real == pytest.approx(0.25)
    assert more.mined / more.real == pytest.approx(usual.mined / usual.real)
    assert (more.bare, more.sides) == (usual.bare, usual.sides)
