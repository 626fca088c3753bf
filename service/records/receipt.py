"""The record of one request: what was hidden, by which models, under which policy. Never a pixel, a name or a place."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Outcome(StrEnum):
    OK = "ok"
    REJECTED = "rejected"
    FAILED = "failed"


class Rewrite(StrEnum):
    """How much of the picture was encoded anew: changed blocks only, everything, or nothing (no image was asked)."""

    PATCH = "patch"
    FULL = "full"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What is known of the upload; fields stay None if the request failed before they were."""

    format: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """What left the service; `sha256` is of the finished bytes."""

    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    rewrite: Rewrite = Rewrite.NONE


class ResidualOutcome(StrEnum):
    """How a search of the finished picture ended; `hidden` means that the last one found nothing any more."""

    CLEAN = "clean"
    ACCEPTED = "accepted"
    HIDDEN = "hidden"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ResidualFacts:
    """What searching the finished picture again found outside the masks: objects of all rounds, and what followed."""

    count: int
    outcome: ResidualOutcome


@dataclass(frozen=True, slots=True)
class ModelFacts:
    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DetectionFacts:
    """One detection: box (x1, y1, x2, y2) in pixels of the upright picture.

    `polygon`: points x, y around what was seen in perspective in a panorama, None for all others. In a panorama both
    may go on beyond the right edge, which is the left one.
    """

    class_name: str
    score: float
    box: tuple[float, float, float, float]
    model: str
    polygon: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request's record; `id` is a UUIDv7, times are UTC, `timings_ms` is per stage.

    `residual` is None where the finished picture was not searched again. `detections_digest` stays when the boxes are
    gone; `signature` is a detached JWS, see `records.signing`.
    """

    id: UUID
    received_at: datetime
    finished_at: datetime
    outcome: Outcome
    service_version: str
    caller: str | None = None
    source_ref: str | None = None
    problem: str | None = None
    input: InputFacts = field(default_factory=InputFacts)
    output: OutputFacts = field(default_factory=OutputFacts)
    policy: dict[str, Any] | None = None
    policy_digest: str | None = None
    models: tuple[ModelFacts, ...] = ()
    engine: str | None = None
    tiles: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    detections: tuple[DetectionFacts, ...] | None = None
    residual: ResidualFacts | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    detections_digest: str | None = None
    signature: str | None = None
