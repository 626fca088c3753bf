"""Answers as typed values, and how they are read off a response."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from service.client.failures import AnswerBroken, Problem

MIXED = re.compile(r'^multipart/mixed;.*boundary="?([^";]+)"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Detection:
    """One hidden object. `box` is x1, y1, x2, y2 in pixels of the upright picture."""

    class_name: str
    score: float
    box: tuple[float, float, float, float]
    model: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Detection":
        x1, y1, x2, y2 = document["box"]
        return cls(document["class"], document["score"], (x1, y1, x2, y2), document["model"])


@dataclass(frozen=True, slots=True)
class Receipt:
    """The record of one request; `document` is all of it, as the service gave it."""

    id: str
    outcome: str
    counts: Mapping[str, int]
    detections: tuple[Detection, ...] | None
    timings_ms: Mapping[str, float]
    document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Receipt":
        kept = document["detections"]
        return cls(
            id=document["id"],
            outcome=document["outcome"],
            counts=document["counts"],
            detections=None if kept is None else tuple(Detection.of(each) for each in kept),
            timings_ms=document["timings_ms"],
            document=document,
        )


@dataclass(frozen=True, slots=True)
class Anonymized:
    """An anonymized picture and its receipt."""

    data: bytes = field(repr=False)
    media_type: str
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Found:
    """What would be hidden in a picture. `width` and `height` are those of the boxes."""

    width: int
    height: int
    detections: tuple[Detection, ...]
    counts: Mapping[str, int]
    receipt_id: str


def anonymized(response: httpx.Response) -> Anonymized:
    """Raises AnswerBroken."""
    boundary = MIXED.match(response.headers.get("content-type", ""))
    if boundary is None:
        raise AnswerBroken("the answer is not a picture with its receipt; is this the address of a Veil service?")
    try:
        (_, receipt), (media, picture) = _parts(response.content, boundary.group(1))
        return Anonymized(picture, media, Receipt.of(json.loads(receipt)))
    except (ValueError, KeyError, TypeError) as error:
        raise AnswerBroken("the picture with its receipt cannot be read; nothing of it was used") from error


def found(response: httpx.Response) -> Found:
    """Raises AnswerBroken."""
    body = document(response)
    try:
        return Found(
            width=body["image"]["width"],
            height=body["image"]["height"],
            detections=tuple(Detection.of(each) for each in body["detections"]),
            counts=body["counts"],
            receipt_id=body["receipt"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerBroken("the list of detections cannot be read") from error


def receipt(response: httpx.Response) -> Receipt:
    """Raises AnswerBroken."""
    return _receipt(document(response))


def page(response: httpx.Response) -> tuple[list[Receipt], str | None]:
    """Receipts, and the cursor of the next page. Raises AnswerBroken."""
    body = document(response)
    return [_receipt(each) for each in body.get("receipts", [])], body.get("next_cursor")


def models(response: httpx.Response) -> list[dict[str, Any]]:
    """Raises AnswerBroken."""
    return list(document(response).get("models", []))


def document(response: httpx.Response) -> dict[str, Any]:
    """A JSON object. Raises AnswerBroken."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise AnswerBroken("the answer is not a JSON object; is this the address of a Veil service?")
    return body


def problem(response: httpx.Response) -> Problem:
    """What a 4xx or 5xx answer says; what a proxy in between says in its own words keeps its status."""
    try:
        body = document(response)
    except AnswerBroken:
        body = {"title": f"HTTP {response.status_code} {response.reason_phrase}"}
    return Problem(response.status_code, body)


def _receipt(body: dict[str, Any]) -> Receipt:
    try:
        return Receipt.of(body)
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerBroken("the receipt cannot be read") from error


def _parts(body: bytes, boundary: str) -> list[tuple[str, bytes]]:
    """Media type and bytes of each part (RFC 2046, section 5.1). Each states its length, so no picture is searched."""
    delimiter, parts, at = f"--{boundary}".encode(), [], 0
    while not body.startswith(delimiter + b"--", at):
        if not body.startswith(delimiter + b"\r\n", at):
            raise ValueError("a part does not begin where it should")
        end = body.index(b"\r\n\r\n", at)
        lines = body[at + len(delimiter) + 2 : end].decode("ascii").split("\r\n")
        head = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        begin, length = end + 4, int(head["content-length"])
        part = body[begin : begin + length]
        if len(part) != length:
            raise ValueError("a part is cut off")
        parts.append((head["content-type"], part))
        at = begin + length + 2
    return parts
