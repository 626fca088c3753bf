"""What FastAPI cannot see by itself: options, request bodies, headers, problems, from the tables that define them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from service.api import areas, examples
from service.api.multipart import IMAGE
from service.api.options import COORDINATES, MAX_SOURCE_REF, PER_CLASS, PLAIN, Operation, option_names
from service.api.problems import MEDIA_TYPE, MalformedRequest, kind_of
from service.api.services import OptionRules
from service.api.uploads import BYTES
from service.errors import (
    InvalidRequest,
    RecordStoreUnavailable,
    Unauthenticated,
    UploadIncomplete,
    UploadTooLarge,
    VeilError,
)
from service.imaging.cubemap import FACES
from service.imaging.formats import WRITTEN, ImageFormat

READ_TYPES = tuple(each.media_type for each in ImageFormat)
WRITTEN_TYPES = tuple(each.media_type for each in WRITTEN)
BINARY = {"type": "string", "format": "binary"}
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, where the deployment needs one."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "api-key", "description": "The same key, in its own header."},
}
DESCRIPTIONS: dict[str, tuple[str, Any]] = {
    "classes": ("What is looked for: a comma-separated list of classes. All by default.", "face,plate"),
    "obscure": ("How it is made unrecognizable: blur, pixelate or fill.", "blur"),
    "strength": ("How coarse the obscuring is; 1 is the default and the least.", 1.5),
    "margin": ("Growth of each mask on each side, relative to the box's own side.", 0.2),
    "threshold": ("Least score of a detection; lower hides more.", 0.3),
    "effort": ("How small the objects are that are looked for; 'thorough' also looks for those that lie.", "balanced"),
    "projection": (
        "How the picture maps the world. auto: a panorama if GPano says so, or if it is 2:1 and its borders are those "
        "of a whole one. equirectangular: one, 2:1 unless GPano tags say which part it shows. planar: never one.",
        "auto",
    ),
    "metadata": (
        "Which metadata the answer keeps. strip: color profile, orientation, projection. geo: also position, time of "
        "capture, camera make and model, attitude. keep: also all other plain EXIF and XMP; never embedded pictures.",
        "strip",
    ),
    "geo": ("Rounds the position to a grid of at least so many meters; only with metadata=geo or keep.", "10m"),
    "format": ("Format of the answered picture; HEIC and JPEG 2000 need one that is named here.", "same"),
    "quality": (
        "JPEG, WebP and AVIF quality, where the picture is encoded anew. A JPEG is, rather than only changed under the "
        "masks, if this is given or the format is another.",
        95,
    ),
    "coding": ("baseline: a progressive JPEG is answered as a sequential one; its pixels stay the same.", "same"),
    "verify": ("'redetect' searches the finished picture again, thoroughly, beside and between the masks.", "redetect"),
    "residual": ("What follows if 'redetect' finds something: accept, hide it as well, or refuse the picture.", "hide"),
    "regions": ("Areas that are hidden in any case, in pixels of the upright picture, as JSON.", "[[10,20,200,120]]"),
    "exclude": (
        "Areas that are left alone, like regions; 403 unless the deployment allows it. A region covers it again.",
        "[[[0,0],[90,0],[45,80]]]",
    ),
    "source_ref": ("The caller's own opaque reference, kept in the receipt. No personal data, please.", "run-7/000123"),
    "coordinates": ("Whether boxes are in pixels of the upright picture or as it is stored.", "upright"),
}
TEXT: dict[str, dict[str, Any]] = {
    "classes": {"type": "string"},
    "source_ref": {"type": "string", "minLength": 1, "maxLength": MAX_SOURCE_REF},
}
HEADERS: dict[str, dict[str, Any]] = {
    "Veil-Receipt": {"description": "Id of the receipt.", "schema": {"type": "string", "format": "uuid"}},
    "Veil-Signature": {
        "description": "Signature of the receipt (detached JWS, Ed25519), where the deployment has a signing key.",
        "schema": {"type": "string"},
    },
    "Veil-Detections": {
        "description": "Objects found, by class.",
        "schema": {"type": "string"},
        "example": "face=3, plate=1",
    },
    "Veil-Projection": {
        "description": "How the picture was looked at.",
        "schema": {"type": "string", "enum": ["planar", "equirectangular"]},
    },
    "Veil-Residual": {
        "description": "What searching the finished picture again found, where verify=redetect asked for it.",
        "schema": {"type": "string"},
        "example": "count=1, outcome=hidden",
    },
    "Server-Timing": {
        "description": "Milliseconds per stage.",
        "schema": {"type": "string"},
        "example": "decode;dur=12.3, detect;dur=410.9",
    },
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}},
    "RateLimit-Policy": {
        "description": "Quotas of the API key, where it has any (IETF draft RateLimit header fields).",
        "schema": {"type": "string"},
        "example": '"requests";q=60;w=60, "megapixels";q=600;qu="megapixels";w=60',
    },
    "RateLimit": {
        "description": "What is left of each quota, and the seconds until there is more.",
        "schema": {"type": "string"},
        "example": '"requests";r=12;t=1, "megapixels";r=88;t=1',
    },
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
    "X-Request-Id": {"description": "Id of the request, in the log too.", "schema": {"type": "string"}},
}


def headers(*names: str) -> dict[str, dict[str, Any]]:
    return {name: HEADERS[name] for name in (*names, "X-Request-Id")}


def option_schema(name: str) -> dict[str, Any]:
    """The JSON schema of option `name` as one value."""
    base = name.partition(".")[0]
    adapters: dict[str, TypeAdapter[Any]] = {**PLAIN, **PER_CLASS, "coordinates": COORDINATES}
    if base not in adapters:
        return TEXT[base]
    schema = adapters[base].json_schema()
    return {key: value for key, value in schema.items() if key not in ("title", "description")}


def parameters(rules: OptionRules, operation: Operation) -> list[dict[str, Any]]:
    """Each option of `operation` as a query parameter."""
    found = []
    for name in option_names(rules.defaults.class_names, operation):
        base, _, of = name.partition(".")
        text, example = DESCRIPTIONS[base]
        parameter: dict[str, Any] = {
            "name": name,
            "in": "query",
            "description": text + (f" For class '{of}'." if of else ""),
        }
        if base in ("regions", "exclude"):
            # A parameter of JSON text: its type is that of the text's content (OpenAPI 3.1, section 4.8.12.2).
            parameter |= {"content": {"application/json": {"schema": areas.SCHEMA}}}
        else:
            parameter |= {"schema": option_schema(name), "example": example}
        found.append(parameter)
    return found


def request_body(rules: OptionRules, operation: Operation) -> dict[str, Any]:
    """The picture as raw body, or as part of a form whose fields are the options."""
    properties: dict[str, Any] = {IMAGE: {**BINARY, "description": "The picture."}}
    for name in option_names(rules.defaults.class_names, operation):
        base = name.partition(".")[0]
        text, example = DESCRIPTIONS[base]
        schema = {"type": "string"} if base in ("regions", "exclude") else option_schema(name)
        properties[name] = {**schema, "description": text, "examples": [example]}
    form: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if operation == "anonymize":
        looking = "What a cube shows to that side: give all six, square and of one size, in place of one picture."
        properties |= {name: {**BINARY, "description": looking} for name in FACES}
        form["oneOf"] = [{"required": [IMAGE]}, {"required": list(FACES)}]
    else:
        form["required"] = [IMAGE]
    raw = {media: {"schema": BINARY} for media in (*READ_TYPES, BYTES)}
    return {"required": True, "content": {**raw, "multipart/form-data": {"schema": form}}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON body that is read by `api.bodies`, so that FastAPI does not see it."""
    schema = model.model_json_schema()
    return {"required": True, "content": {"application/json": {"schema": _inlined(schema, schema.pop("$defs", {}))}}}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """`schema` with each definition in its place: references would start at the root of the whole document."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions:
        return _inlined({**definitions[name], **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}


def problems(*kinds: type[VeilError]) -> dict[int | str, dict[str, Any]]:
    """The answers for `kinds` of failure, by status, each kind with an example."""
    by_status: dict[int, list[type[VeilError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind_of(kind).status, []).append(kind)
    return {status: _problem(status, same) for status, same in sorted(by_status.items())}


def _problem(status: int, kinds: list[type[VeilError]]) -> dict[str, Any]:
    names = {
        429: ("Retry-After", "RateLimit-Policy", "RateLimit"),
        503: ("Retry-After",),
        401: ("WWW-Authenticate",),
    }.get(status, ())
    content = {
        "schema": {"$ref": "#/components/schemas/ProblemDocument"},
        "examples": {kind.slug: {"summary": kind.title, "value": _example(kind)} for kind in kinds},
    }
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": headers(*names),
        "content": {MEDIA_TYPE: content},
    }


def _example(kind: type[VeilError]) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind_of(kind).status,
        "detail": kind.default_detail,
        "remedy": kind_of(kind).remedy,
        "request_id": "5f1c0f7c0b1f4f0e8f8f2d6f4f7f9a10",
    }
    if kind not in (Unauthenticated, RecordStoreUnavailable):
        example["receipt"] = examples.ID
    if kind is InvalidRequest:
        example["problems"] = [{"pointer": "/threshold.face", "detail": "Input should be less than 1"}]
    return example


COMMON: tuple[type[VeilError], ...] = (VeilError, Unauthenticated, RecordStoreUnavailable)
JSON_BODY: tuple[type[VeilError], ...] = (MalformedRequest, InvalidRequest, UploadTooLarge, UploadIncomplete)
"""What `api.bodies` may raise."""
"""What every route that needs a key can end in."""
