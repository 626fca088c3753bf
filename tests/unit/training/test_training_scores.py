"""Recall, false boxes and thresholds on detections of known places; mining with the released model."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from service.models.catalog import Catalog
from training import mining, scoring
from training.photographs import Labels, boxes
from training.search import Found, search


def found(plates: list[list[float]], rows: list[list[float]], unclear: list[list[float]] | None = None) -> Found:
    """`rows`: x1, y1, x2, y2, score."""
    labels = Labels("picture", Path("picture.png"), boxes(plates), boxes(unclear or []), boxes([]))
    xyxy, scores = boxes(row[:4] for row in rows), np.array([row[4] for row in rows], np.float32)
    return Found(labels, xyxy, scores, xyxy, scores)


def test_hidden_is_three_quarters_of_the_box() -> None:
    plate = [[100.0, 100.0, 200.0, 120.0]]
    assert scoring.measure([found(plate, [[100, 100, 176, 120, 0.9]])], 0.5, 0.0).hidden == (1, 1)
    assert scoring.measure([found(plate, [[100, 100, 170, 120, 0.9]])], 0.5, 0.0).hidden == (0, 1)
    assert scoring.measure([found(plate, [[100, 100, 170, 120, 0.9]])], 0.5, 0.1).hidden == (1, 1), "the margin counts"
    halves = [[100, 100, 150, 120, 0.9], [150, 100, 200, 120, 0.9]]
    assert scoring.measure([found(plate, halves)], 0.5, 0.0).hidden == (1, 1), "the union counts"
    assert scoring.measure([found(plate, halves)], 0.95, 0.0).hidden == (0, 1)


def test_plates_are_counted_by_height() -> None:
    point = scoring.measure([found([[0, 0, 50, 10], [0, 50, 99, 90]], [[0, 50, 99, 90, 0.9]])], 0.5, 0.0)
    assert point.by_height == {(0, 16): (0, 1), (16, 32): (0, 0), (32, 96): (1, 1), (96, 1 << 20): (0, 0)}


def test_what_touches_a_plate_or_something_unclear_is_not_false() -> None:
    plate, unclear = [[100.0, 100.0, 200.0, 120.0]], [[0.0, 0.0, 40.0, 20.0]]
    rows = [[110, 100, 150, 120, 0.9], [5, 5, 30, 15, 0.8], [300, 300, 340, 320, 0.7], [400, 300, 440, 320, 0.3]]
    point = scoring.measure([found(plate, rows, unclear)], 0.5, 0.1)
    assert (point.false_boxes, point.false_per_picture) == (1, 1.0)
    assert scoring.measure([found(plate, rows, unclear)], 0.2, 0.1).false_boxes == 2


def test_the_threshold_keeps_what_is_allowed() -> None:
    pictures = [found([], [[0, 0, 9, 9, score]]) for score in (0.9, 0.7, 0.5, 0.3)]
    value = scoring.threshold_for(pictures, 0.5)
    assert scoring.measure(pictures, value, 0.1).false_per_picture == 0.5
    assert 0.5 < value < 0.7


@pytest.fixture(scope="module")
def plate_repository(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(catalog.root / "plate", root / "plate")
    return root


def test_mining_shows_what_is_found_beside_the_annotations(
    labeled: list[Labels], plate_repository: Path, tmp_path: Path
) -> None:
    """What is annotated or reviewed is not offered again; without annotation it is."""
    results = list(search(plate_repository, labeled))
    seen = [k for k, each in enumerate(results) if scoring.measure([each], 0.5, 0.1).hidden[0]]
    assert seen, "the released model finds generated plates"
    bare = [Labels(each.id, each.file, boxes([]), boxes([]), boxes([])) for each in labeled]
    offered = mining.candidates(plate_repository, bare, 0.5)
    assert {f"picture{k}" for k in seen} <= {each.id for each in offered}
    for each in mining.candidates(plate_repository, labeled, 0.5):
        place = labeled[int(each.id[-1])]
        assert scoring.covered(np.concatenate([place.plates, place.lookalikes])[0], boxes([each.box])) <= 0.3
    mining.sheets(offered, tmp_path)
    assert (tmp_path / "sheet-00.png").is_file()
    assert len(json.loads((tmp_path / "verdicts.json").read_text(encoding="utf-8"))) == len(offered)


def test_verdicts_are_merged_and_checked(tmp_path: Path) -> None:
    (tmp_path / "reviewed.json").write_text('{"a": [[1, 2, 3, 4, "plate"]]}', encoding="utf-8")
    verdicts = tmp_path / "verdicts.json"
    verdicts.write_text('[["b", 5, 6, 7, 8, 0.9, "lookalike"], ["a", 5, 6, 7, 8, 0.8, null]]', encoding="utf-8")
    assert mining.merge(verdicts, tmp_path) == 1
    merged = json.loads((tmp_path / "reviewed.json").read_text(encoding="utf-8"))
    assert merged == {"a": [[1, 2, 3, 4, "plate"]], "b": [[5, 6, 7, 8, "lookalike"]]}
    verdicts.write_text('[["b", 5, 6, 7, 8, 0.9, "perhaps"]]', encoding="utf-8")
    with pytest.raises(ValueError, match="perhaps"):
        mining.merge(verdicts, tmp_path)
