"""The wire shapes: what leaves as JSON, and how it is made from what the service knows."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.anonymizer import Found, detection_facts
from service.api import examples
from service.api.coordinates import Frame
from service.models.catalog import ModelSpec
from service.policy import Coordinates
from service.records.receipt import DetectionFacts, Outcome, Receipt, ResidualOutcome, Rewrite

Box = Annotated[
    tuple[float, float, float, float],
    Field(
        description="x1, y1, x2, y2 in pixels of the upright picture, unless coordinates=stored asked otherwise. In a "
        "panorama a box that crosses the seam goes on beyond the right edge (x2 > width), which is the left one."
    ),
]
Polygon = Annotated[
    list[tuple[float, float]] | None,
    Field(
        description="What was seen in perspective in a panorama: its outline there, in pixels like the box; else null."
    ),
]
Timings = Annotated[dict[str, float], Field(description="Milliseconds per stage.")]


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class DetectionDocument(Wire):
    class_name: Annotated[str, Field(alias="class")]
    score: float
    box: Box
    model: Annotated[str, Field(description="name/version of the model that found it.")]
    polygon: Polygon = None

    @classmethod
    def of(cls, facts: DetectionFacts, frame: Frame | None = None) -> "DetectionDocument":
        box = facts.box if frame is None else frame.to_stored(facts.box)
        polygon = None
        if facts.polygon is not None:
            polygon = [point if frame is None else frame.point_to_stored(point) for point in facts.polygon]
        return cls(class_name=facts.class_name, score=facts.score, box=box, model=facts.model, polygon=polygon)


class ImageDocument(Wire):
    """Width and height are those of the boxes: upright, or as stored if coordinates=stored asked for that."""

    width: int
    height: int
    format: str
    orientation: Annotated[int, Field(ge=1, le=8, description="EXIF orientation of the stored picture.")]
    projection: Annotated[str, Field(description="How the picture was looked at: planar or equirectangular.")]


class DetectDocument(Wire):
    """What was found in a picture, without the picture."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DETECT]})

    image: ImageDocument
    detections: list[DetectionDocument]
    counts: dict[str, int]
    receipt: UUID
    timings_ms: Timings

    @classmethod
    def of(cls, found: Found, coordinates: Coordinates) -> "DetectDocument":
        source = found.source
        stored = coordinates == "stored"
        frame = Frame(source.width, source.height, source.orientation) if stored else None
        return cls(
            image=ImageDocument(
                width=source.stored_width if stored else source.width,
                height=source.stored_height if stored else source.height,
                format=source.format.value,
                orientation=source.orientation,
                projection="planar" if found.detections.sphere is None else "equirectangular",
            ),
            detections=[DetectionDocument.of(each, frame) for each in detection_facts(found.detections)],
            counts=found.receipt.counts,
            receipt=found.receipt.id,
            timings_ms=found.receipt.timings_ms,
        )


class InputDocument(Wire):
    format: str | None
    width: int | None
    height: int | None
    bytes: int | None


class OutputDocument(Wire):
    format: str | None
    bytes: int | None
    sha256: str | None
    rewrite: Rewrite


class ModelIdentity(Wire):
    name: str
    version: str
    sha256: str


class ResidualDocument(Wire):
    """What searching the finished picture again found outside the masks, and what followed."""

    count: int
    outcome: ResidualOutcome


class ReceiptDocument(Wire):
    """The record of one request, failed ones too: never a pixel, a file name or a metadata value."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RECEIPT]})

    id: UUID
    received_at: datetime
    finished_at: datetime
    caller: Annotated[str | None, Field(description="Id of the API key; null where no keys are needed.")]
    source_ref: str | None
    outcome: Outcome
    problem: Annotated[str | None, Field(description="Slug of the problem if the outcome is not ok.")]
    input: InputDocument
    output: OutputDocument
    policy: dict[str, Any] | None
    policy_digest: str | None
    models: list[ModelIdentity]
    engine: Literal["onnxruntime", "triton"] | None
    tiles: int
    counts: dict[str, int]
    detections: Annotated[
        list[DetectionDocument] | None, Field(description="null if the deployment does not keep them.")
    ]
    residual: Annotated[
        ResidualDocument | None, Field(description="null if the finished picture was not searched again.")
    ]
    timings_ms: Timings
    service_version: str
    detections_digest: Annotated[
        str | None, Field(description="SHA-256 of the boxes, which stays when their retention is over.")
    ]
    signature: Annotated[
        str | None,
        Field(description="Detached JWS (Ed25519) of the receipt's signed part; null if the deployment has no key."),
    ]

    @classmethod
    def of(cls, receipt: Receipt, frame: Frame | None = None) -> "ReceiptDocument":
        """`frame`: give the boxes as stored, not upright."""
        kept = receipt.detections
        return cls.model_validate(
            {
                "id": receipt.id,
                "received_at": receipt.received_at,
                "finished_at": receipt.finished_at,
                "caller": receipt.caller,
                "source_ref": receipt.source_ref,
                "outcome": receipt.outcome,
                "problem": receipt.problem,
                "input": {name: getattr(receipt.input, name) for name in InputDocument.model_fields},
                "output": {name: getattr(receipt.output, name) for name in OutputDocument.model_fields},
                "policy": receipt.policy,
                "policy_digest": receipt.policy_digest,
                "models": [{"name": m.name, "version": m.version, "sha256": m.sha256} for m in receipt.models],
                "engine": receipt.engine,
                "tiles": receipt.tiles,
                "counts": receipt.counts,
                "detections": None if kept is None else [DetectionDocument.of(each, frame) for each in kept],
                "residual": None if receipt.residual is None else asdict(receipt.residual),
                "timings_ms": receipt.timings_ms,
                "service_version": receipt.service_version,
                "detections_digest": receipt.detections_digest,
                "signature": receipt.signature,
            }
        )


class ReceiptPageDocument(Wire):
    """One page, the newest first; `next_cursor` is null on the last."""

    receipts: list[ReceiptDocument]
    next_cursor: str | None


class TileSize(Wire):
    width: int
    height: int


class ModelDocument(Wire):
    name: str
    version: str
    engine: str
    sha256: str
    input: Annotated[TileSize, Field(description="Size of the tiles that the model looks at, in pixels.")]
    classes: list[str]
    thresholds: Annotated[dict[str, float], Field(description="Score threshold per class where no option names one.")]
    license: str

    @classmethod
    def of(cls, spec: ModelSpec, engine: str, thresholds: dict[str, float]) -> "ModelDocument":
        return cls(
            name=spec.name,
            version=spec.version,
            engine=engine,
            sha256=spec.sha256,
            input=TileSize(width=spec.tile_width, height=spec.tile_height),
            classes=list(spec.classes),
            thresholds={name: thresholds[name] for name in spec.classes},
            license=spec.license,
        )


class ModelsDocument(Wire):
    model_config = ConfigDict(json_schema_extra={"examples": [examples.MODELS]})

    models: list[ModelDocument]


class ComponentDocument(Wire):
    status: Literal["ready", "not ready"]
    reason: str | None = None


class ReadyDocument(Wire):
    """Whether the service can take pictures right now, and which part of it cannot."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.NOT_READY]})

    status: Literal["ready", "not ready"]
    components: dict[str, ComponentDocument]


class LiveDocument(Wire):
    status: Literal["live"] = "live"
    service_version: str


class OptionProblemDocument(Wire):
    pointer: Annotated[str, Field(description="JSON pointer (RFC 6901) to the option or to an element in it.")]
    detail: str


class ProblemDocument(Wire):
    """A failure (RFC 9457). `type` is an address of this service that explains it."""

    type: str
    title: str
    status: int
    detail: str | None = None
    remedy: Annotated[str | None, Field(description="What can be done about it.")] = None
    request_id: str | None = None
    receipt: Annotated[UUID | None, Field(description="The receipt of the failed request, if one is stored.")] = None
    problems: Annotated[list[OptionProblemDocument] | None, Field(description="Each wrong option.")] = None
    violated_policies: Annotated[
        list[str] | None, Field(alias="violated-policies", description="Quotas of the key that are used up.")
    ] = None
