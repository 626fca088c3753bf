"""Annotated sets on disk, for tests."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

CATEGORIES = [{"id": 1, "name": "face"}, {"id": 2, "name": "plate"}]


def write_set(
    folder: Path, pictures: dict[str, npt.NDArray[np.uint8]], boxes: list[dict[str, Any]], **of_each: Any
) -> Path:
    """A set with the RGB `pictures` (file name → pixels, ids 1, 2, … in order); `of_each` is said of every picture."""
    (folder / "images").mkdir(parents=True)
    images = []
    for i, (name, pixels) in enumerate(pictures.items(), start=1):
        cv2.imwrite(str(folder / "images" / name), pixels[..., ::-1])
        height, width = pixels.shape[:2]
        images.append({"id": i, "file_name": name, "width": width, "height": height, **of_each})
    document = {"categories": CATEGORIES, "images": images, "annotations": boxes}
    (folder / "annotations.json").write_text(json.dumps(document), encoding="utf-8")
    return folder
