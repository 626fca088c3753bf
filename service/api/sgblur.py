"""The answers of sgblur, the reference server of Panoramax's blur API, as its clients read them."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from service import __version__
from service.records.receipt import DetectionFacts

SERVICE_NAME = "SGBlur"
"""Panoramax 2.15 finds the annotations of an earlier blurring by this name and by no other."""

HEADER_BYTES = 48 * 1024
"""HTTP clients read header lines of up to 64 KiB."""

Size = tuple[int, int]


def form(boundary: str, metadata: Mapping[str, Any], picture: bytes) -> bytes:
    """A multipart/form-data body (RFC 7578): the JSON object `metadata`, and `image`."""
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="metadata"; filename="metadata.json"\r\n'
        "Content-Type: application/json\r\n\r\n"
        f"{json.dumps(metadata)}\r\n"
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="image"; filename="picture.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return b"".join((head.encode(), picture, f"\r\n--{boundary}--\r\n".encode()))


def metadata(found: Sequence[DetectionFacts], size: Size, blurring_id: str) -> dict[str, Any]:
    """The part `metadata`, with one annotation for each of `found`; `size` is (width, height), upright."""
    return {
        "annotations": [_annotation(each, size) for each in found],
        "blurring_id": blurring_id,
        "service_name": SERVICE_NAME,
    }


def header(found: Sequence[DetectionFacts], size: Size, salt: str) -> str:
    """The header `x-sgblur`: as many of `found`, the surest first, as a header line holds."""
    info: list[dict[str, Any]] = []
    room = HEADER_BYTES
    for each in sorted(found, key=lambda one: -one.score):
        x1, y1, x2, y2 = pixels(each.box, size)
        entry = {
            "class": each.class_name,
            "confidence": round(each.score, 3),
            "xywh": [x1, y1, x2 - x1, y2 - y1],
            "bbox": [x1, y1, x2, y2],
        }
        room -= len(json.dumps(entry)) + 2
        if room < 0:
            break
        info.append(entry)
    return json.dumps({"info": info, "model": {"name": "veil", "version": __version__}, "salt": salt})


def pixels(box: tuple[float, float, float, float], size: Size) -> tuple[int, int, int, int]:
    """`box` (x1, y1, x2, y2) in whole pixels that contain it, none outside of the picture."""
    width, height = size
    x1, y1, x2, y2 = box
    return (
        min(max(0, math.floor(x1)), width - 1),
        min(max(0, math.floor(y1)), height - 1),
        max(min(width, math.ceil(x2)), 1),
        max(min(height, math.ceil(y2)), 1),
    )


def _annotation(each: DetectionFacts, size: Size) -> dict[str, Any]:
    """A box with semantic tags: what it is, which model found it and how surely."""
    tag = f"veil|hidden={each.class_name}"
    tags = {
        "veil|hidden": each.class_name,
        f"detection_model[{tag}]": f"{SERVICE_NAME}-veil-{each.model}",
        f"detection_confidence[{tag}]": f"{each.score:.3f}",
    }
    semantics = [{"key": key, "value": value} for key, value in tags.items()]
    return {"shape": list(pixels(each.box, size)), "semantics": semantics}
