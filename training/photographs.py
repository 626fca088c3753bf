"""Annotated photographs: read, corrected by what a person saw in review, and decoded once into one file.

A picture outside the project's ID lists is never trained on: see `training/lists`.
"""

import json
import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import numpy as np
from numpy.typing import NDArray

from training.ink import Pixels

Boxes = NDArray[np.float32]
"""(n, 4): x1, y1, x2, y2 in pixels."""

LISTS = Path(__file__).parent / "lists"
LONGEST = 1024
"""Larger photographs are reduced to this many pixels on their longer side."""


@dataclass(frozen=True)
class Labels:
    """What is known of one photograph: plates, places that could be one, and places that only look like one."""

    id: str
    file: Path
    plates: Boxes
    unclear: Boxes
    lookalikes: Boxes

    def scaled(self, factor: float) -> "Labels":
        return replace(
            self, plates=self.plates * factor, unclear=self.unclear * factor, lookalikes=self.lookalikes * factor
        )


def boxes(rows: Iterable[Iterable[float]]) -> Boxes:
    """`rows` of x1, y1, x2, y2 as an array, (0, 4) if there are none."""
    return np.array([list(row) for row in rows], np.float32).reshape(-1, 4)


def ids(name: str) -> frozenset[str]:
    """One of the project's lists of Open Images IDs: `train`, `dev` (thresholds), `test` (reported)."""
    return frozenset((LISTS / f"{name}_ids.txt").read_text(encoding="utf-8").split())


def id_of(file: Path) -> str:
    """The Open Images ID of a photograph: its name up to the first underscore."""
    return file.name.split("_")[0].removesuffix(".jpg")


def reviewed() -> Mapping[str, list[tuple[float, float, float, float, str]]]:
    """Photograph → boxes and verdicts (plate, lookalike, unclear): what a person said of boxes without annotation."""
    content: dict[str, list[tuple[float, float, float, float, str]]]
    content = json.loads((LISTS / "reviewed.json").read_text(encoding="utf-8"))
    return content


def read_voc(images: Path, annotations: Path, wanted: frozenset[str]) -> Iterator[Labels]:
    """Photographs of `wanted` IDs with Pascal VOC files beside; the ID is the file name up to its first underscore."""
    seen = set()
    for file in sorted(images.glob("*.jpg")):
        name, document = id_of(file), annotations / f"{file.stem}.xml"
        if name not in wanted or name in seen or not document.is_file():
            continue
        seen.add(name)
        found = ET.parse(document).getroot().iter("bndbox")
        rows = [[float(box.findtext(key, "0")) for key in ("xmin", "ymin", "xmax", "ymax")] for box in found]
        yield Labels(name, file, boxes(rows), boxes([]), boxes([]))


def read_coco(folder: Path, subsets: Iterable[str]) -> Iterator[Labels]:
    """Photographs of a folder with `annotations.json` and `images/`, those of `subsets` only; crowds are unclear."""
    document: dict[str, Any] = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    plate = next(each["id"] for each in document["categories"] if each["name"] == "plate")
    rows: dict[tuple[int, int], list[list[float]]] = {}
    for each in document["annotations"]:
        if each["category_id"] == plate:
            x, y, w, h = each["bbox"]
            rows.setdefault((each["image_id"], int(each["iscrowd"])), []).append([x, y, x + w, y + h])
    chosen = set(subsets)
    for image in document["images"]:
        if image["subset"] in chosen:
            file = folder / "images" / image["file_name"]
            plates, unclear = rows.get((image["id"], 0), []), rows.get((image["id"], 1), [])
            yield Labels(file.stem, file, boxes(plates), boxes(unclear), boxes([]))


def corrected(labels: Labels) -> Labels:
    """`labels` with what the review added."""
    verdicts = reviewed().get(labels.id, [])
    by_verdict = {v: [row[:4] for row in verdicts if row[4] == v] for v in ("plate", "unclear", "lookalike")}
    return replace(
        labels,
        plates=np.concatenate([labels.plates, boxes(by_verdict["plate"])]),
        unclear=np.concatenate([labels.unclear, boxes(by_verdict["unclear"])]),
        lookalikes=np.concatenate([labels.lookalikes, boxes(by_verdict["lookalike"])]),
    )


def spared(labels: Labels) -> Labels:
    """`labels` of the dev or test list where plates that nobody annotated are unclear: neither missed nor false.

    They were seen among the boxes that models had found, so counting them as found would flatter those.
    """
    content: dict[str, list[list[float]]]
    content = json.loads((LISTS / "unannotated.json").read_text(encoding="utf-8"))
    return replace(labels, unclear=np.concatenate([labels.unclear, boxes(content.get(labels.id, []))]))


class Photographs:
    """Decoded photographs in one mapped file, so that every worker shares the same memory."""

    def __init__(self, folder: Path) -> None:
        with (folder / "photographs.pickle").open("rb") as stream:
            self._rows: list[tuple[Labels, int, tuple[int, int, int]]] = pickle.load(stream)  # written by `decode`
        self._pixels = np.memmap(folder / "photographs.raw", np.uint8, "r")
        self.with_plates = [at for at, (labels, _, _) in enumerate(self._rows) if len(labels.plates)]
        self.lookalikes = [
            (at, k) for at, (labels, _, _) in enumerate(self._rows) for k in range(len(labels.lookalikes))
        ]

    @classmethod
    def decode(cls, labels: Iterable[Labels], folder: Path) -> "Photographs":
        """Writes the decoded pictures of `labels` to `folder`; pictures that cannot be read are left out."""
        folder.mkdir(parents=True, exist_ok=True)
        rows, offset = [], 0
        with (folder / "photographs.raw").open("wb") as stream:
            for each in labels:
                picture = cv2.imread(str(each.file))
                if picture is None:
                    continue
                factor = min(1.0, LONGEST / max(picture.shape[:2]))
                if factor < 1:
                    picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
                stream.write(picture.tobytes())
                height, width = picture.shape[:2]
                rows.append((each.scaled(factor), offset, (height, width, 3)))
                offset += picture.size
        with (folder / "photographs.pickle").open("wb") as stream:
            pickle.dump(rows, stream)
        return cls(folder)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> tuple[Pixels, Labels]:
        """Pixels (h, w, 3), BGR, not to be written to, and labels in the same pixels."""
        labels, offset, shape = self._rows[at]
        return self._pixels[offset : offset + shape[0] * shape[1] * 3].reshape(shape), labels
