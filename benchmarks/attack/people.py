"""Photographs of people for the recognizer, each brought to the size at which masks are finest."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import data

from benchmarks.attack.recognizer import Recognizer
from benchmarks.attack.views import CATALOG, Box, mask_of
from service.imaging.raster import UInt8Image
from service.policy import Policy

SIDE = 160
"""Pixels over the short side of a face's box: its mask is a little less than two cells of 128 pixels wide."""

AROUND = 1.2
"""Of the box's sides, on each side of it."""

BESIDE = 128
"""8-bit value beside the default mask: hair, clothes and place may give a person away, whatever the mask does."""

SMALLEST = 64
"""Pixels of an annotated face; smaller ones are known to nobody."""


@dataclass(frozen=True)
class Person:
    """`photo` (h, w, 3) uint8 RGB, gray but for what the default mask hides, the face's `box`, and its `landmarks`."""

    photo: UInt8Image
    box: Box
    landmarks: Any


def shipped(recognizer: Recognizer, count: int = 100) -> list[Person]:
    """`count` of the hundred faces that scikit-image ships (25 × 25 pixels, each another person, gray)."""
    people = []
    for face in data.lfw_subset()[:count]:
        large = cv2.resize(face.astype(np.float32) * 255, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        around = round(AROUND * SIDE)
        gray = cv2.copyMakeBorder(large, *(around,) * 4, cv2.BORDER_REPLICATE)
        rgb = np.repeat(np.clip(np.rint(gray), 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
        people.append(_person(recognizer, rgb, (around, around, around + SIDE, around + SIDE)))
    return people


def annotated(recognizer: Recognizer, folder: Path) -> list[Person]:
    """Every face of `SMALLEST` pixels or more in `folder`, which is as `veil evaluate` has it.

    Each face counts as another person: who appears twice makes the attack look weaker on the controls, too.
    """
    known = json.loads((folder / "annotations.json").read_text())
    names = {image["id"]: image["file_name"] for image in known["images"]}
    faces: dict[int, list[Box]] = {}
    for each in known["annotations"]:
        x, y, w, h = each["bbox"]
        if each["category_id"] == 1 and not each["iscrowd"] and min(w, h) >= SMALLEST:
            faces.setdefault(each["image_id"], []).append((x, y, x + w, y + h))
    people = []
    for image, boxes in faces.items():
        photo = cv2.imread(str(folder / "images" / names[image]))
        if photo is None:
            raise ValueError(f"picture {image} of {folder} cannot be read")
        rgb = cv2.cvtColor(photo, cv2.COLOR_BGR2RGB).astype(np.uint8)
        people += [_person(recognizer, *_framed(rgb, box)) for box in boxes]
    return people


def _framed(rgb: UInt8Image, box: Box) -> tuple[UInt8Image, Box]:
    """The part of `rgb` around `box`, so large that the box has `SIDE`."""
    x1, y1, x2, y2 = box
    across, down = AROUND * (x2 - x1), AROUND * (y2 - y1)
    left, top = max(0, int(x1 - across)), max(0, int(y1 - down))
    part = rgb[top : int(y2 + down), left : int(x2 + across)]
    scale = SIDE / min(x2 - x1, y2 - y1)
    size = round(part.shape[1] * scale), round(part.shape[0] * scale)
    resized = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return resized.astype(np.uint8), tuple((v - o) * scale for v, o in zip(box, (left, top) * 2, strict=True))  # type: ignore[return-value]


def _person(recognizer: Recognizer, rgb: UInt8Image, box: Box) -> Person:
    photo = np.ascontiguousarray(rgb)
    landmarks = recognizer.landmarks(photo, box)
    height, width = photo.shape[:2]
    hidden = mask_of(box, Policy(classes=(CATALOG["face"],)), (width, height)).coverage()
    return Person(np.where(hidden[:, :, None], photo, np.uint8(BESIDE)), box, landmarks)
