"""The blur API of Panoramax (GeoVisio), as its reference server sgblur has it, over Veil's own pipeline.

Its client sends no key and no option, and gives a picture up for good after six errors within a second: so a list of
networks decides who may come, and a request is held rather than refused. It shows pixels as they are stored and
compares EXIF: so pictures are answered upright, with all of their EXIF that cannot carry an image.
"""

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError

from service import errors
from service.anonymizer import Anonymized
from service.api import openapi, sgblur
from service.api.auth import CallerOf, ServicesOf
from service.api.health import Readiness, ready
from service.api.holding import Deadline, hold
from service.api.intake import take
from service.api.native import UPLOAD_PROBLEMS, answer_headers
from service.api.negotiation import Accepted
from service.api.problems import NotAcceptable, escape
from service.api.schemas import ReadyDocument
from service.api.services import PanoramaxRules
from service.api.uploads import MULTIPART, Upload, media_type
from service.errors import InvalidRequest, OptionProblem, UnsupportedFormat
from service.policy import MetadataMode, OutputFormat, Policy
from service.records.draft import Draft

PICTURE = "picture"
JPEG = "image/jpeg"
FLAGS: dict[str, tuple[str, bool]] = {
    "keep": ("Whether to keep what was hidden for later. Accepted, and nothing is kept.", False),
    "annotations": ("Whether to list what was hidden; the deployment decides where it is not given.", True),
}
"""Query parameters, all of them 0 or 1, with their meaning and an example."""

FLAG = TypeAdapter(bool)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the answer is to be: a form or the picture alone; whether the form lists what was hidden."""

    form: bool
    annotations: bool


def router() -> APIRouter:
    """The routes, each with and without the slash: clients would follow a redirect without sending the body again."""
    routes = APIRouter(tags=["Panoramax"])
    for path, documented in (("/blur/", True), ("/blur", False)):
        routes.add_api_route(
            path,
            blur,
            methods=["POST"],
            operation_id="panoramax_blur" if documented else None,
            summary="Hide faces and license plates, for Panoramax",
            response_class=Response,
            responses={200: _pictures(), **openapi.problems(*PROBLEMS)},
            openapi_extra={"parameters": _parameters(), "requestBody": _request_body()},
            include_in_schema=documented,
        )
        routes.add_api_route(
            path,
            ready,
            methods=["GET"],
            operation_id="panoramax_ready" if documented else None,
            summary="Whether pictures can be taken right now",
            response_model=ReadyDocument,
            responses={
                503: {"model": ReadyDocument, "description": "A part is not ready; see components."},
                **openapi.problems(errors.NotPermitted),
            },
            include_in_schema=documented,
        )
    return routes


async def blur(request: Request, services: ServicesOf, caller: CallerOf) -> Response:
    """The picture with everything hidden, upright, with its EXIF, once its receipt is stored.

    `Accept: multipart/form-data` answers the parts `metadata` and `image`, else the picture comes alone with the header
    `x-sgblur`. While the service is full or a part of it is not available for a moment, the request is held.
    """
    rules = services.panoramax
    assert rules is not None, "authorize refuses the request where the route is switched off"
    deadline = Deadline(rules.hold_seconds)
    policy = policy_of(services.rules.defaults)
    readiness: Readiness = request.app.state.readiness

    async def is_ready() -> bool:
        return (await readiness.now()).status == "ready"

    def understand(upload: Upload | None, _draft: Draft) -> Asked:
        return _understand(request, rules, upload)

    async def work(data: bytes, asked: Asked, draft: Draft) -> tuple[Anonymized, Asked, Draft]:
        async def attempt() -> Anonymized:
            async with AsyncExitStack() as held:
                weight = await services.anonymizer.weigh(data, policy, draft)
                with draft.stage("queue"):
                    await held.enter_async_context(services.admission.worker(deadline.left, weight=weight))
                return await services.anonymizer.attempt(data, policy, draft, rules.memory)

        async with services.anonymizer.recorded(draft):
            done = await hold(attempt, deadline=deadline, ready=is_ready, draining=services.draining)
        return done, asked, draft

    done, asked, draft = await take(
        request, services, caller, understand, work, part=PICTURE, patience=rules.hold_seconds
    )
    size = (done.source.width, done.source.height)
    headers = answer_headers(done.receipt)
    salt = secrets.token_hex(16)
    if not asked.form:
        found = sgblur.header(draft.found, size, salt)
        return Response(done.data, media_type=JPEG, headers=headers | {"x-sgblur": found})
    boundary = secrets.token_hex(16)
    body = sgblur.form(boundary, sgblur.metadata(draft.found if asked.annotations else (), size, salt), done.data)
    return Response(body, media_type=f"{MULTIPART}; boundary={boundary}", headers=headers)


def policy_of(defaults: Policy) -> Policy:
    """The deployment's policy with what this protocol's clients rely on."""
    needed = {"format": OutputFormat.JPEG, "upright": True, "metadata": MetadataMode.KEEP, "metadata_owner": True}
    return Policy.model_validate(defaults.model_dump() | needed)


def _understand(request: Request, rules: PanoramaxRules, upload: Upload | None) -> Asked:
    """What is asked for. Raises UnsupportedFormat, NotAcceptable or InvalidRequest."""
    if media_type(request) != MULTIPART:
        raise UnsupportedFormat(f"Send the picture as part '{PICTURE}' of a form ({MULTIPART}).")
    accepted = Accepted.parse(request.headers.get("accept"))
    as_form, alone = accepted.weight(MULTIPART), accepted.weight(JPEG)
    if max(as_form, alone) <= 0:
        raise NotAcceptable(detail=f"The answer is {MULTIPART} or {JPEG}.")
    problems = list(upload.problems) if upload else []
    flags: dict[str, bool] = {}
    for name, value in (*request.query_params.multi_items(), *(upload.fields if upload else ())):
        if name not in FLAGS or name in flags:
            problems.append(OptionProblem(f"/{escape(name[:64])}", f"give {' or '.join(FLAGS)}, once"))
            continue
        try:
            flags[name] = FLAG.validate_python(value)
        except ValidationError:
            problems.append(OptionProblem(f"/{name}", "give 0 or 1"))
    if problems:
        raise InvalidRequest(problems)
    # A client that takes everything is one that knows of no form.
    named = any(media == MULTIPART for media, _ in accepted.ranges)
    return Asked(
        form=(named and as_form >= alone) or alone <= 0, annotations=flags.get("annotations", rules.annotations)
    )


PROBLEMS = tuple(
    each
    for each in (*UPLOAD_PROBLEMS, errors.OutputRefused, errors.ResidualFound)
    if each is not errors.Unauthenticated
)


def _parameters() -> list[dict[str, Any]]:
    schema = {"type": "integer", "enum": [0, 1]}
    return [
        {"name": name, "in": "query", "description": text, "schema": schema, "example": int(example)}
        for name, (text, example) in FLAGS.items()
    ]


def _request_body() -> dict[str, Any]:
    properties = {PICTURE: {**openapi.BINARY, "description": "The picture, in any format that this service reads."}}
    form = {"type": "object", "required": [PICTURE], "properties": properties}
    return {"required": True, "content": {MULTIPART: {"schema": form}}}


def _pictures() -> dict[str, Any]:
    """The answers for the OpenAPI document."""
    parts = {"type": "object", "properties": {"metadata": {"type": "object"}, "image": openapi.BINARY}}
    return {
        "description": "The picture with everything hidden, pixels upright.",
        "headers": openapi.headers("Veil-Receipt", "Veil-Detections", "Server-Timing"),
        "content": {JPEG: {"schema": openapi.BINARY}, MULTIPART: {"schema": parts}},
    }
