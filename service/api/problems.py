"""Every failure as an RFC 9457 problem document, from one table."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from service import errors
from service.errors import InvalidRequest, OptionProblem, VeilError
from service.imaging.formats import READ
from service.observability.logs import get_logger

logger = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
CLIENT_CLOSED = 499
"""Nobody reads this answer; the access log and the metrics do (nginx's number for the same)."""

DEFAULT_RETRY_AFTER = 5.0


class MalformedRequest(InvalidRequest):
    slug = "malformed-request"
    title = "The request cannot be read"
    default_detail = "The request does not have the form that its headers announce."


class NotAcceptable(InvalidRequest):
    slug = "not-acceptable"
    title = "None of the accepted media types can be answered"
    default_detail = "The answer has none of the media types that Accept asks for."


class RouteNotFound(VeilError):
    slug = "not-found"
    title = "There is nothing at this address"
    default_detail = "There is nothing at this address; see /docs for what there is."


class MethodNotAllowed(VeilError):
    slug = "method-not-allowed"
    title = "This address does not take this method"
    default_detail = "This address does not take this method; the header Allow lists those that it takes."


class OriginNotAllowed(VeilError):
    slug = "origin-not-allowed"
    title = "Pages of this origin may not call this service"
    default_detail = "The page that asks is of an origin, or asks for a method or header, that is not allowed here."


class HeadIncomplete(VeilError):
    slug = "head-incomplete"
    title = "The head of the request did not arrive in time"
    default_detail = "The request line and the headers did not arrive in time."


class HeadTooLarge(VeilError):
    slug = "head-too-large"
    title = "The head of the request is too large"
    default_detail = "The request line and the headers together are larger than this service accepts."


class TooManyConnections(VeilError):
    slug = "too-many-connections"
    title = "The service has no connection free"
    default_detail = "All connections are in use; try again after the time in Retry-After."


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table: the status, and what a caller can do about it."""

    status: int
    remedy: str


TRY_AGAIN = (
    "Try again after the time in Retry-After. If it stays, the operator sees the cause in the log and at /readyz."
)
KINDS: dict[type[VeilError], Kind] = {
    VeilError: Kind(500, "A defect of the service. Report it with the request id; the log has the rest."),
    errors.UploadRejected: Kind(422, f"Send a picture with one page, as {READ}."),
    errors.UploadTooLarge: Kind(
        413, "Send a smaller file, or ask the operator to raise VEIL_LIMITS__MAX_UPLOAD_BYTES."
    ),
    errors.UploadIncomplete: Kind(
        408, "Send the whole body without pauses; on slow lines the operator can allow more."
    ),
    errors.UnsupportedFormat: Kind(415, f"Send {READ}, as image/…, application/octet-stream or multipart/form-data."),
    errors.CorruptImage: Kind(422, "Check the file: it does not decode completely."),
    errors.TooManyPixels: Kind(422, "Scale the picture down, or ask the operator to raise VEIL_LIMITS__MAX_PIXELS."),
    errors.TooMuchMemory: Kind(
        422,
        "Scale the picture down or send it in its own format, or ask the operator for more memory "
        "(VEIL_ADMISSION__MEMORY_BYTES, or the container's limit).",
    ),
    errors.UnsupportedFrames: Kind(422, "Split the file and send each page or frame as a picture of its own."),
    errors.InvalidRequest: Kind(422, "Correct each of the options that problems points at."),
    MalformedRequest: Kind(400, "Check how the client builds the request, above all multipart boundaries."),
    NotAcceptable: Kind(406, "Send an Accept header that allows the answer, or none."),
    OriginNotAllowed: Kind(403, "The operator lists the origins of pages that may call in VEIL_CORS__ORIGINS."),
    HeadIncomplete: Kind(408, "Send the request line and the headers at once."),
    HeadTooLarge: Kind(431, "Send fewer or shorter headers, and options of a picture as form fields."),
    TooManyConnections: Kind(503, "Try again after the time in Retry-After, and close connections that are not used."),
    errors.Unauthenticated: Kind(401, "Send a valid API key; the operator makes one with 'veil keys create'."),
    errors.NotPermitted: Kind(
        403, "Use a key whose role allows this, or leave out what the deployment does not allow."
    ),
    errors.ReceiptNotFound: Kind(404, "Check the id. A key sees only the receipts that its role lets it see."),
    errors.KeyNotFound: Kind(404, "Check the id; /v1/keys lists every one."),
    errors.ReceiptNotSigned: Kind(404, "The operator makes a key with 'veil keys signing new' for receipts to come."),
    errors.SampleNotFound: Kind(404, "Check the id; POST /v1/samples draws a sample and answers it."),
    RouteNotFound: Kind(404, "Check the address; /docs lists every one."),
    MethodNotAllowed: Kind(405, "Use one of the methods in the header Allow."),
    errors.Overloaded: Kind(429, "Try again after the time in Retry-After."),
    errors.QuotaExceeded: Kind(
        429, "Send less in a minute: RateLimit-Policy has the quotas. The operator makes keys with larger ones."
    ),
    errors.ClientDisconnected: Kind(CLIENT_CLOSED, "Keep the connection open until the answer is there."),
    errors.DetectionFailed: Kind(502, TRY_AGAIN),
    errors.DetectorUnavailable: Kind(503, TRY_AGAIN),
    errors.DetectorTimeout: Kind(504, "Try again; for very large pictures the operator can allow more time."),
    errors.DetectorContractBroken: Kind(502, "The operator must check the models: 'veil doctor' says what is wrong."),
    errors.ModelUnproven: Kind(503, "The operator must check the models: /readyz and 'veil doctor' say what is wrong."),
    errors.OutputRefused: Kind(500, "A defect of the service. Report it with the request id; no image was released."),
    errors.ResidualFound: Kind(
        422, "Ask for a more thorough search (effort, threshold), or for residual=hide or accept; see the receipt."
    ),
    errors.RecordStoreUnavailable: Kind(503, TRY_AGAIN),
}


def all_problems() -> Iterator[type[VeilError]]:
    """VeilError and its subclasses, each once."""
    waiting = [VeilError]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(current.__subclasses__())


def kind_of(error: type[VeilError]) -> Kind:
    return next(KINDS[each] for each in error.__mro__ if each in KINDS)


def document(error: VeilError, request: Request) -> dict[str, Any]:
    """The problem document of `error`; `receipt` is there once the receipt of the failed request is stored."""
    body: dict[str, Any] = {
        "type": f"/problems/{error.slug}",
        "title": error.title,
        "status": kind_of(type(error)).status,
        "detail": error.detail,
        "remedy": kind_of(type(error)).remedy,
        "request_id": getattr(request.state, "request_id", None),
    }
    draft = getattr(request.state, "draft", None)
    if draft is not None and draft.committed:
        body["receipt"] = str(draft.id)
    if isinstance(error, InvalidRequest) and error.problems:
        body["problems"] = [{"pointer": each.pointer, "detail": each.detail} for each in error.problems]
    if isinstance(error, errors.QuotaExceeded) and error.policies:
        body["violated-policies"] = list(error.policies)
    return body


def answer(error: VeilError, request: Request, headers: dict[str, str] | None = None) -> Response:
    """The answer to a request that ended in `error`."""
    status = kind_of(type(error)).status
    sent = {"Cache-Control": "no-store"} | (headers or {})
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        sent["Retry-After"] = str(max(1, math.ceil(error.retry_after or DEFAULT_RETRY_AFTER)))
    if status == HTTPStatus.UNAUTHORIZED:
        sent["WWW-Authenticate"] = 'Bearer realm="veil"'
    request.state.problem = error.slug
    body = document(error, request)
    if "receipt" in body:
        sent["Veil-Receipt"] = body["receipt"]
    return JSONResponse(body, status, sent, MEDIA_TYPE)


async def on_veil_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VeilError)
    if kind_of(type(error)).status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.cause:
        logger.warning("request-failed", problem=error.slug, cause=error.cause)
    return answer(error, request)


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Path and query parameters that FastAPI checked; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    problems = [
        OptionProblem("".join(f"/{escape(str(part))}" for part in each["loc"][1:]), each["msg"])
        for each in error.errors()
    ]
    return answer(InvalidRequest(problems), request)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """The framework's own errors, which would be plain text or JSON of another shape."""
    assert isinstance(error, HTTPException)
    known: dict[int, type[VeilError]] = {
        400: MalformedRequest,
        404: RouteNotFound,
        405: MethodNotAllowed,
        413: errors.UploadTooLarge,
    }
    headers = dict(error.headers or {})
    if error.status_code in known:
        return answer(known[error.status_code](), request, headers)
    request.state.problem = "about:blank"
    title = HTTPStatus(error.status_code).phrase
    body = {"type": "about:blank", "title": title, "status": error.status_code}
    return JSONResponse(body, error.status_code, headers, MEDIA_TYPE)


def escape(name: str) -> str:
    """`name` as one token of a JSON pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
