"""Whole evaluations with the project's own detectors, on pictures with a face and a plate."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from service.cli import main
from service.evaluation.report import Report, read_report
from tests.pictures import FACE, PLATE, street
from tests.unit.evaluation.annotated import write_set


def coco(image: int, category: int, xyxy: tuple[float, float, float, float]) -> dict[str, object]:
    x1, y1, x2, y2 = xyxy
    return {"image_id": image, "category_id": category, "bbox": [x1, y1, x2 - x1, y2 - y1]}


NOWHERE = (20.0, 560.0, 60.0, 600.0)
"""Gray ground, on which a careless hand annotated a face."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture with a face, a plate and an impossible face; one with nothing in it, in which all is annotated."""
    gray = np.full((320, 320, 3), 114, np.uint8)
    boxes = [coco(1, 1, FACE), coco(1, 2, PLATE), coco(1, 1, NOWHERE)]
    return write_set(tmp_path / "set", {"secret-name.png": street(), "nothing.png": gray}, boxes)


def run(*arguments: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def report(folder: Path, tmp_path: Path) -> Report:
    run(folder, "-o", tmp_path / "out", "-s", "effort=fast")
    return read_report(tmp_path / "out" / "evaluation.json")


def test_what_is_hidden_and_what_is_missed_is_reported(report: Report) -> None:
    rows = {(row.class_name, row.name): row for row in report.recall}
    assert (rows["face", "all"].objects, rows["face", "all"].hidden.value) == (2, 0.5)
    assert rows["face", "32–96 px"].hidden.value == 0.5
    assert (rows["plate", "all"].objects, rows["plate", "all"].hidden.value) == (1, 1)
    assert ("plate", "16–32 px") in rows
    assert ("plate", "below 16 px") not in rows
    false = {row.class_name: row for row in report.false}
    assert (false["face"].pictures, false["face"].negatives) == (2, 1)
    assert false["face"].per_negative is not None
    assert false["face"].per_negative.value == 0
    face, plate = (report.pictures[0].objects[i] for i in (0, 1))
    assert face.coverage > 0.95
    assert face.up_to > 0.3
    assert report.pictures[0].objects[2].coverage == report.pictures[0].objects[2].up_to == 0
    assert plate.up_to > 0.45
    curve = {point.threshold: point.hidden for point in report.curve if point.class_name == "face"}
    assert curve[0.2] == 0.5
    assert curve[0.95] == (0.5 if face.up_to >= 0.95 else 0)
    assert min(curve) == 0.1


def test_the_report_says_what_was_measured_with(report: Report, folder: Path) -> None:
    setup = report.setup
    assert setup.dataset == folder.name
    assert setup.effort == "fast"
    assert [each.label for each in setup.models] == ["face/1", "plate/5", "gate/2"]
    assert all(len(each.sha256) == 64 for each in setup.models)
    assert len(setup.policy_digest) == 64
    assert {each.name for each in setup.classes} == {"face", "plate"}


def test_the_page_needs_nothing_else_and_shows_the_misses(report: Report, tmp_path: Path) -> None:
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 1, "one object is missed"
    assert "face, 40 px high, 0% covered; picture 1" in page
    for outside in ("http:", "https:", 'src="/', "<script", "@import", "url("):
        assert outside not in page
    assert "secret-name" not in page
    assert "secret-name" not in (tmp_path / "out" / "evaluation.json").read_text()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["evaluation.html", "evaluation.json"]


def test_without_pictures_no_pixel_is_written(folder: Path, tmp_path: Path) -> None:
    run(folder, "-o", tmp_path / "out", "--no-pictures", "--every", "2")
    assert "data:image" not in (tmp_path / "out" / "evaluation.html").read_text()


def test_without_a_folder_nothing_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_MODELS__REPOSITORY", str(Path("model_repository").resolve()))
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert "face" in run(folder, "-s", "classes=face")
    assert list(empty.iterdir()) == []


def test_a_threshold_that_hides_less_shows_in_the_comparison(report: Report, folder: Path, tmp_path: Path) -> None:
    run(folder, "-o", tmp_path / "blind", "-s", "effort=fast", "-s", "threshold.plate=0.99")
    one, other = tmp_path / "out" / "evaluation.json", tmp_path / "blind" / "evaluation.json"
    said = run("--compare", one, other)
    assert "-1.000" in said
    blind = read_report(other)
    assert blind.pictures[0].objects[1].coverage == 0
    assert blind.pictures[0].objects[1].up_to == report.pictures[0].objects[1].up_to, "the scores are the same"
    assert blind.setup.policy_digest != report.setup.policy_digest


def test_reports_on_different_sets_are_not_compared(report: Report, folder: Path, tmp_path: Path) -> None:
    document = json.loads((folder / "annotations.json").read_text())
    document["annotations"].pop()
    (folder / "annotations.json").write_text(json.dumps(document))
    run(folder, "-o", tmp_path / "other", "-s", "effort=fast")
    said = run("--compare", tmp_path / "out" / "evaluation.json", tmp_path / "other" / "evaluation.json", code=2)
    assert "different annotations" in said


def test_pictures_that_cannot_be_measured_are_counted_out_and_named(folder: Path) -> None:
    (folder / "images" / "nothing.png").write_bytes(b"not a picture")
    said = run(folder, "-s", "effort=fast", code=1)
    assert "picture 2:" in said
    assert "1 pictures could not be measured" in said


def test_annotations_of_another_size_are_refused(folder: Path) -> None:
    document = json.loads((folder / "annotations.json").read_text())
    document["images"][1]["width"] = 319
    (folder / "annotations.json").write_text(json.dumps(document))
    assert "annotated at 319 × 320 pixels; upright it has 320 × 320" in run(folder, "-s", "effort=fast", code=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "Give a data set"), (("SET", "--compare", "a", "b"), "Give either"), (("SET", "-s", "x=1"), "x")],
)
def test_wrong_arguments_are_named(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in run(*(str(folder) if each == "SET" else each for each in arguments), code=2)
