"""Reading annotations: what a file may say, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.evaluation.dataset import DatasetError, read_dataset
from tests.unit.evaluation.annotated import write_set

GRAY = np.full((40, 60, 3), 128, np.uint8)


def box(image: int = 1, category: int = 1, bbox: tuple[float, ...] = (10, 10, 5, 8), **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": list(bbox), **more}


def test_a_plain_coco_file_annotates_every_class_and_every_object(tmp_path: Path) -> None:
    dataset = read_dataset(write_set(tmp_path / "set", {"a.png": GRAY}, [box(), box(category=2, iscrowd=1)]))
    (picture,) = dataset.pictures
    assert dataset.name == "set"
    assert dataset.classes == ("face", "plate")
    assert picture.annotated == picture.exhaustive == {"face", "plate"}
    assert [(each.class_name, each.xyxy, each.ignored) for each in picture.truths] == [
        ("face", (10, 10, 15, 18), False),
        ("plate", (10, 10, 15, 18), True),
    ]
    assert picture.truths[0].height == 8


@pytest.mark.parametrize("listed", [["face"], {"face": True, "plate": False}])
def test_a_picture_says_which_classes_it_shows(tmp_path: Path, listed: Any) -> None:
    folder = write_set(tmp_path, {"a.png": GRAY}, [], annotated=listed, exhaustive=["face", "plate"], subset="night")
    (picture,) = read_dataset(folder).pictures
    assert picture.annotated == {"face"}
    assert picture.exhaustive == {"face"}, "what is not annotated at all is not annotated in full"
    assert picture.subset == "night"


def test_boxes_end_at_the_picture(tmp_path: Path) -> None:
    (picture,) = read_dataset(write_set(tmp_path, {"a.png": GRAY}, [box(bbox=(-4, 30, 10, 30), ignore=True)])).pictures
    assert picture.truths[0].xyxy == (0, 30, 6, 40)
    assert picture.truths[0].ignored


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([box(bbox=(60, 0, 5, 5))], r"annotations\.0: the box has no area"),
        ([box(bbox=(0, 0, 0, 5))], r"annotations\.0: the box has no area"),
        ([box(), box(image=2)], r"annotations\.1: there is no such image"),
        ([box(category=3)], r"annotations\.0: there is no such image or category"),
        ([box(bbox=(0, 0, 5))], r"annotations\.0\.bbox"),
        ([box(bbox=(0, 0, 5, float("inf")))], "bbox"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, boxes: list[dict[str, Any]], said: str) -> None:
    folder = write_set(tmp_path, {"a.png": GRAY}, boxes)
    with pytest.raises(DatasetError, match=said):
        read_dataset(folder)


def test_a_folder_without_annotations_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"annotations\.json: No such file"):
        read_dataset(tmp_path)


def test_a_sample_takes_subsets_and_every_nth(tmp_path: Path) -> None:
    folder = write_set(tmp_path, {f"{i}.png": GRAY for i in range(5)}, [])
    document = json.loads((folder / "annotations.json").read_text())
    for i, image in enumerate(document["images"]):
        image["subset"] = "even" if i % 2 == 0 else "odd"
    (folder / "annotations.json").write_text(json.dumps(document))
    dataset = read_dataset(folder)
    assert [each.id for each in dataset.sample(every=2).pictures] == ["1", "3", "5"]
    assert [each.id for each in dataset.sample(subsets=("odd",)).pictures] == ["2", "4"]
    assert [each.id for each in dataset.sample(subsets=("even",), every=2).pictures] == ["1", "5"]
    with pytest.raises(DatasetError, match="no subset night; there are: even, odd"):
        dataset.sample(subsets=("night",))
