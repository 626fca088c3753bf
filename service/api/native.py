"""Veil's own protocol: a picture in, a picture or its detections out."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from service import errors
from service.anonymizer import Found
from service.api import openapi
from service.api.auth import CallerOf, ServicesOf
from service.api.bundles import Part, archive, mixed
from service.api.coordinates import Frame
from service.api.intake import admit, process
from service.api.negotiation import JSON, MIXED, ZIP, Accepted, Representation
from service.api.options import Options
from service.api.problems import MalformedRequest, NotAcceptable
from service.api.schemas import DetectDocument, ModelDocument, ModelsDocument, ReceiptDocument
from service.api.services import OptionRules
from service.api.uploads import MULTIPART, Upload, media_type
from service.cubes import Faces
from service.errors import VeilError
from service.imaging.formats import ImageFormat, output_format, sniff
from service.policy import OutputFormat
from service.records.draft import Draft
from service.records.receipt import Receipt

UPLOAD_PROBLEMS: tuple[type[VeilError], ...] = (
    *openapi.COMMON,
    MalformedRequest,
    NotAcceptable,
    errors.NotPermitted,
    errors.UploadIncomplete,
    errors.UploadTooLarge,
    errors.UnsupportedFormat,
    errors.InvalidRequest,
    errors.CorruptImage,
    errors.TooManyPixels,
    errors.TooMuchMemory,
    errors.UnsupportedFrames,
    errors.Overloaded,
    errors.QuotaExceeded,
    errors.DetectionFailed,
    errors.DetectorUnavailable,
    errors.DetectorTimeout,
    errors.DetectorContractBroken,
    errors.ModelUnproven,
)


def router(rules: OptionRules) -> APIRouter:
    """The routes; `rules` give the options that the OpenAPI document lists."""
    routes = APIRouter(tags=["pictures"])
    routes.add_api_route(
        "/v1/anonymize",
        anonymize,
        methods=["POST"],
        operation_id="anonymize",
        summary="Hide faces and license plates",
        response_class=Response,
        responses={200: _pictures(), **openapi.problems(*UPLOAD_PROBLEMS, errors.OutputRefused, errors.ResidualFound)},
        openapi_extra={
            "parameters": openapi.parameters(rules, "anonymize"),
            "requestBody": openapi.request_body(rules, "anonymize"),
            "security": openapi.SECURITY,
        },
    )
    routes.add_api_route(
        "/v1/detect",
        detect,
        methods=["POST"],
        operation_id="detect",
        summary="Find what would be hidden",
        response_model=DetectDocument,
        responses={
            200: {"headers": openapi.headers("Veil-Receipt", "Veil-Signature", "Veil-Detections", "Server-Timing")},
            **openapi.problems(*UPLOAD_PROBLEMS),
        },
        openapi_extra={
            "parameters": openapi.parameters(rules, "detect"),
            "requestBody": openapi.request_body(rules, "detect"),
            "security": openapi.SECURITY,
        },
    )
    routes.add_api_route(
        "/v1/models",
        models,
        methods=["GET"],
        operation_id="list_models",
        summary="The models that look at the pictures",
        response_model=ModelsDocument,
        responses=openapi.problems(*openapi.COMMON, errors.NotPermitted),
        openapi_extra={"security": openapi.SECURITY},
    )
    return routes


async def anonymize(request: Request, services: ServicesOf, caller: CallerOf) -> Response:
    """The picture with everything hidden that the options name, once its receipt is stored.

    With `Accept: multipart/mixed` the receipt comes along as first part. Six faces of a cube, which a form may have in
    place of a picture, come as ZIP archive or as parts, with their receipt.
    """
    accepted = Accepted.parse(request.headers.get("accept"))
    form = media_type(request) == MULTIPART

    def acceptable(options: Options, upload: Upload | None) -> None:
        if upload is not None and upload.faces:
            accepted.several()
        elif upload is not None or not form or not accepted.weight(ZIP):
            accepted.representation(_images(options.policy.format, None if upload is None else upload.data))

    async def one(data: bytes, options: Options, draft: Draft) -> Response:
        quota = admit(request, services, caller)
        done = await services.anonymizer.anonymize(data, options.policy, draft, quota)
        picture = Part(done.format.media_type, done.data)
        headers = answer_headers(done.receipt)
        headers["Veil-Projection"] = "equirectangular" if done.panorama else "planar"
        if accepted.representation((picture.media_type,)) is Representation.IMAGE:
            return Response(picture.data, media_type=picture.media_type, headers=headers)
        source = done.source
        frame = Frame(source.width, source.height, source.orientation) if options.coordinates == "stored" else None
        return mixed([_receipt(done.receipt, frame), picture], headers)

    async def cube(faces: Faces, options: Options, draft: Draft) -> Response:
        quota = admit(request, services, caller)
        done = await services.anonymizer.anonymize_cube(faces, options.policy, draft, quota)
        pictures = [Part(to.media_type, data, name + to.extension) for name, (data, to) in done.faces.items()]
        answer = archive if accepted.several() is Representation.ZIP else mixed
        return answer([_receipt(done.receipt), *pictures], answer_headers(done.receipt))

    return await process(request, services, caller, "anonymize", acceptable, one, cube)


async def detect(request: Request, response: Response, services: ServicesOf, caller: CallerOf) -> DetectDocument:
    """What `anonymize` would hide, as JSON, and no picture."""
    accepted = Accepted.parse(request.headers.get("accept"))

    async def work(data: bytes, options: Options, draft: Draft) -> tuple[Found, Options]:
        quota = admit(request, services, caller)
        return await services.anonymizer.detect(data, options.policy, draft, quota), options

    found, options = await process(
        request, services, caller, "detect", lambda _options, _upload: accepted.require(JSON), work
    )
    response.headers.update(answer_headers(found.receipt))
    return DetectDocument.of(found, options.coordinates)


async def models(services: ServicesOf) -> ModelsDocument:
    """Name, version, checksum and thresholds of each model, in the version that answers at the moment."""
    thresholds = {each.name: each.threshold for each in services.rules.defaults.classes}
    serving = services.models if services.serving is None else services.serving()
    return ModelsDocument(models=[ModelDocument.of(spec, services.engine, thresholds) for spec in serving])


def _receipt(receipt: Receipt, frame: Frame | None = None) -> Part:
    document = ReceiptDocument.of(receipt, frame).model_dump_json(by_alias=True)
    return Part(JSON, document.encode(), "receipt.json")


def _images(wanted: OutputFormat, data: bytes | None) -> tuple[str, ...]:
    """Media types that the answered picture may have."""
    if wanted is not OutputFormat.SAME:
        return (ImageFormat(wanted.value).media_type,)
    return openapi.WRITTEN_TYPES if data is None else (output_format(sniff(data), wanted).media_type,)


def answer_headers(receipt: Receipt) -> dict[str, str]:
    """What every answer says of its receipt."""
    found = receipt.residual
    residual = {"Veil-Residual": f"count={found.count}, outcome={found.outcome}"} if found is not None else {}
    signed = {"Veil-Signature": receipt.signature} if receipt.signature is not None else {}
    return (
        residual
        | signed
        | {
            "Veil-Receipt": str(receipt.id),
            "Veil-Detections": _listed(receipt.counts),
            "Server-Timing": ", ".join(f"{stage};dur={spent:.1f}" for stage, spent in receipt.timings_ms.items()),
            "Cache-Control": "no-store",
            "Vary": "Accept",
        }
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={count}" for name, count in sorted(counts.items()))


def _pictures() -> dict[str, Any]:
    """The answers of `anonymize` for the OpenAPI document."""
    media = {each: {"schema": openapi.BINARY} for each in openapi.WRITTEN_TYPES}
    parts = {
        "type": "object",
        "description": "First part application/json (the receipt), second part the picture, or each face of a cube.",
        "properties": {"receipt": {"$ref": "#/components/schemas/ReceiptDocument"}, "image": openapi.BINARY},
    }
    return {
        "description": "The picture with everything hidden, upright as before.",
        "headers": openapi.headers(
            "Veil-Receipt", "Veil-Signature", "Veil-Detections", "Veil-Projection", "Veil-Residual", "Server-Timing"
        ),
        "content": {**media, MIXED: {"schema": parts}, ZIP: {"schema": openapi.BINARY}},
    }
