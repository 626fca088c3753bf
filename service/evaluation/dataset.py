"""Annotated pictures in a folder: `annotations.json` as COCO writes it, and the pictures in `images/` or beside it.

Beyond COCO, a picture may say of which classes it shows boxes at all (`annotated`) and of which it shows every object
(`exhaustive`), each as a list of class names or as a table of them. Without, both are all classes of the file.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

ANNOTATIONS = "annotations.json"

Box = tuple[float, float, float, float]


class DatasetError(Exception):
    """The annotations cannot be used; the message names the file and the place."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One annotated object, x1, y1, x2, y2 in upright pixels; an ignored one counts neither for nor against."""

    class_name: str
    xyxy: Box
    ignored: bool

    @property
    def height(self) -> float:
        """In pixels of the upright picture."""
        return self.xyxy[3] - self.xyxy[1]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the set; `annotated` and `exhaustive` are class names, `subset` is empty where none is given."""

    id: str
    file: Path
    width: int
    height: int
    subset: str
    annotated: frozenset[str]
    exhaustive: frozenset[str]
    truths: tuple[Truth, ...]

    def of(self, class_name: str) -> tuple[Truth, ...]:
        """The objects of one class, ignored ones too."""
        return tuple(each for each in self.truths if each.class_name == class_name)


@dataclass(frozen=True, slots=True)
class Dataset:
    """`digest`: SHA-256 (hex) of the annotations, by which two reports know that they speak of the same."""

    name: str
    digest: str
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]

    def sample(self, *, every: int = 1, subsets: tuple[str, ...] = ()) -> "Dataset":
        """Each `every`-th picture of `subsets` (all, if none is named). Raises DatasetError if nothing is left."""
        unknown = sorted(set(subsets) - {each.subset for each in self.pictures})
        if unknown:
            known = ", ".join(sorted({each.subset for each in self.pictures}))
            raise DatasetError(f"there is no subset {', '.join(unknown)}; there are: {known}")
        chosen = tuple(each for each in self.pictures if not subsets or each.subset in subsets)[::every]
        if not chosen:
            raise DatasetError("the set has no pictures")
        return Dataset(self.name, self.digest, self.classes, chosen)


class _Category(BaseModel):
    id: int
    name: str


class _Image(BaseModel):
    id: int | str
    file_name: str
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    subset: str = ""
    annotated: list[str] | dict[str, bool] | None = None
    exhaustive: list[str] | dict[str, bool] | None = None


class _Annotation(BaseModel):
    image_id: int | str
    category_id: int
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    iscrowd: bool = False
    ignore: bool = False


class _File(BaseModel):
    categories: Annotated[list[_Category], Field(min_length=1)]
    images: list[_Image]
    annotations: list[_Annotation]


def read_dataset(folder: Path) -> Dataset:
    """The set in `folder`. Raises DatasetError if its annotations are missing or wrong; no picture is opened yet."""
    path = folder / ANNOTATIONS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from error
    try:
        read = _File.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise DatasetError(f"{path}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from error
    names = {each.id: each.name for each in read.categories}
    images = {each.id: each for each in read.images}
    if len(images) != len(read.images):
        raise DatasetError(f"{path}: two images have the same id")
    truths: dict[int | str, list[Truth]] = defaultdict(list)
    for i, each in enumerate(read.annotations):
        if each.image_id not in images or each.category_id not in names:
            raise DatasetError(f"{path}: annotations.{i}: there is no such image or category")
        image = images[each.image_id]
        xyxy = _clipped(each.bbox, image.width, image.height)
        if xyxy is None:
            raise DatasetError(f"{path}: annotations.{i}: the box has no area within the picture")
        truths[each.image_id].append(Truth(names[each.category_id], xyxy, each.iscrowd or each.ignore))
    classes = tuple(sorted(names.values()))
    pictures = tuple(_picture(folder, each, classes, tuple(truths[each.id])) for each in read.images)
    return Dataset(folder.resolve().name, hashlib.sha256(content).hexdigest(), classes, pictures)


def _picture(folder: Path, image: _Image, classes: tuple[str, ...], truths: tuple[Truth, ...]) -> Picture:
    inside = folder / "images" / image.file_name
    return Picture(
        id=str(image.id),
        file=inside if inside.exists() else folder / image.file_name,
        width=image.width,
        height=image.height,
        subset=image.subset,
        annotated=_named(image.annotated, classes),
        exhaustive=_named(image.exhaustive, classes) & _named(image.annotated, classes),
        truths=truths,
    )


def _named(listed: list[str] | Mapping[str, bool] | None, classes: tuple[str, ...]) -> frozenset[str]:
    if listed is None:
        return frozenset(classes)
    return frozenset(listed if isinstance(listed, list) else (name for name, holds in listed.items() if holds))


def _clipped(bbox: tuple[float, float, float, float], width: int, height: int) -> Box | None:
    """COCO's x, y, width, height as corners within the picture, None if nothing is left."""
    x, y, w, h = bbox
    x1, y1, x2, y2 = max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
