"""What is to be hidden and how: the complete, validated answer to every option of a request.

A `Policy` is frozen and hashable, and its `digest` names it in the receipt. It knows neither HTTP nor the deployment:
the API merges options over the deployment's defaults and hands the result down.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

Point = tuple[FiniteFloat, FiniteFloat]


class Obscure(StrEnum):
    """How a region is made unrecognizable; see `imaging.obscuring`."""

    BLUR = "blur"
    PIXELATE = "pixelate"
    FILL = "fill"


class Effort(StrEnum):
    """How far down in object size the detectors look, and whether for what lies; see `imaging.views.plan_views`."""

    FAST = "fast"
    BALANCED = "balanced"
    THOROUGH = "thorough"


class Projection(StrEnum):
    AUTO = "auto"
    PLANAR = "planar"
    EQUIRECTANGULAR = "equirectangular"


class MetadataMode(StrEnum):
    STRIP = "strip"
    GEO = "geo"
    KEEP = "keep"


class GeoPrecision(StrEnum):
    """How exactly a finished picture may tell its position: rounded to a grid of at least so many meters."""

    ONE = "1m"
    TEN = "10m"
    HUNDRED = "100m"

    @property
    def meters(self) -> int:
        return int(self.value.removesuffix("m"))


@dataclass(frozen=True, slots=True)
class MetadataPolicy:
    """What a finished picture carries beside its pixels; see `imaging.metadata`.

    `geo` rounds the position (None: as it is). `owner` and `allow` are the deployment's: whether names of people and
    serial numbers may be kept, and EXIF tags that are kept besides those of the mode, in `geo` and `keep`.
    """

    mode: MetadataMode = MetadataMode.STRIP
    geo: GeoPrecision | None = None
    owner: bool = False
    allow: tuple[str, ...] = ()


class OutputFormat(StrEnum):
    SAME = "same"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    TIFF = "tiff"


class Coding(StrEnum):
    """How the blocks of a patched JPEG are coded: as they were, or sequentially, even if they were progressive."""

    SAME = "same"
    BASELINE = "baseline"


class Verify(StrEnum):
    """How finished pictures are checked: by their structure, which always is, or by searching them again, too."""

    STRUCTURE = "structure"
    REDETECT = "redetect"


class Residual(StrEnum):
    """What follows if something is found in a finished picture: it is released, hidden as well, or refused."""

    ACCEPT = "accept"
    HIDE = "hide"
    REFUSE = "refuse"


class Shape(StrEnum):
    """The outline of a mask: an ellipse around the box (faces) or the box itself (plates)."""

    ELLIPSE = "ellipse"
    BOX = "box"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Area(Frozen):
    """A polygon in pixels of the upright picture, at least three points; a box is its four corners."""

    points: Annotated[tuple[Point, ...], Field(min_length=3, max_length=256)]

    @classmethod
    def from_box(cls, x1: float, y1: float, x2: float, y2: float) -> "Area":
        if not (x1 < x2 and y1 < y2):
            raise ValueError("a box is [x1, y1, x2, y2] with x1 < x2 and y1 < y2")
        return cls(points=((x1, y1), (x2, y1), (x2, y2), (x1, y2)))

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The bounding box."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


class Agreement(Frozen):
    """What a detection's score is multiplied by, according to what other levels of the picture show in its place.

    `confirmed`: another level sees it as well. `alone`: none does, though it is large enough there to be seen. What
    cannot be seen on any other level keeps its score. `turned`: one turned level sees it and no other one that is
    turned as far; None if not even a thorough search is to turn the picture for this class. See `detection.agreement`.
    """

    confirmed: Annotated[float, Field(ge=1, le=4)]
    alone: Annotated[float, Field(gt=0, le=1)]
    turned: Annotated[float, Field(gt=0, le=1)] | None = None


class ClassPolicy(Frozen):
    """How one class of objects is found and hidden.

    `margin` is the growth on each side relative to the box's own side, at least `min_margin` pixels; `strength` ≥ 1
    only ever hides more than the default.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    threshold: Annotated[float, Field(gt=0, lt=1)]
    margin: Annotated[float, Field(ge=0, le=2)]
    min_margin: Annotated[float, Field(ge=0, le=64)] = 2.0
    shape: Shape
    obscure: Obscure = Obscure.BLUR
    strength: Annotated[float, Field(ge=1, le=4)] = 1.0
    agreement: Agreement | None = None


class Policy(Frozen):
    """One request's policy. `regions` are hidden in any case; `exclude` is left alone unless a region covers it.

    `reencode`: a JPEG is encoded anew at `quality`, even if changing the blocks under its masks would do.
    `upright`: pixels are stored as displayed and the orientation becomes 1, for readers that ignore it.
    `nadir_mask`: degrees around the lower pole of a panorama that are hidden in any case.
    """

    classes: Annotated[tuple[ClassPolicy, ...], Field(min_length=1)]
    region_obscure: Obscure = Obscure.BLUR
    region_strength: Annotated[float, Field(ge=1, le=4)] = 1.0
    effort: Effort = Effort.BALANCED
    projection: Projection = Projection.AUTO
    metadata: MetadataMode = MetadataMode.STRIP
    geo: GeoPrecision | None = None
    metadata_owner: bool = False
    metadata_allow: tuple[str, ...] = ()
    format: OutputFormat = OutputFormat.SAME
    quality: Annotated[int, Field(ge=50, le=100)] = 95
    reencode: bool = False
    coding: Coding = Coding.SAME
    upright: bool = False
    nadir_mask: Annotated[float, Field(ge=0, le=90)] = 0.0
    verify: Verify = Verify.STRUCTURE
    residual: Residual = Residual.HIDE
    regions: Annotated[tuple[Area, ...], Field(max_length=500)] = ()
    exclude: Annotated[tuple[Area, ...], Field(max_length=500)] = ()

    @field_validator("classes")
    @classmethod
    def _unique(cls, classes: tuple[ClassPolicy, ...]) -> tuple[ClassPolicy, ...]:
        names = [c.name for c in classes]
        if len(set(names)) != len(names):
            raise ValueError("a class may appear only once")
        return tuple(sorted(classes, key=lambda c: c.name))

    @property
    def metadata_policy(self) -> MetadataPolicy:
        return MetadataPolicy(self.metadata, self.geo, self.metadata_owner, self.metadata_allow)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    def of(self, name: str) -> ClassPolicy:
        """The policy of class `name`; KeyError if the class is not asked for."""
        for each in self.classes:
            if each.name == name:
                return each
        raise KeyError(name)

    def turns(self, name: str) -> bool:
        """Whether a thorough search looks for class `name` in the turned picture; not for one that is not asked for."""
        return any(c.name == name and c.agreement is not None and c.agreement.turned is not None for c in self.classes)

    def document(self) -> dict[str, Any]:
        """The values as JSON types, for the receipt."""
        return self.model_dump(mode="json")

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON form (sorted keys, no spaces)."""
        text = json.dumps(self.document(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


Coordinates = Literal["upright", "stored"]
