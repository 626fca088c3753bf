"""Quality control: samples of pictures that left, verdicts of people on them, and the recall that follows."""

import secrets
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field

from service.api import openapi
from service.api.auth import CallerOf, ServicesOf
from service.api.bodies import read_json
from service.api.moments import Moment
from service.api.schemas import Wire
from service.errors import InvalidRequest, NotPermitted, OptionProblem, QuotaExceeded, SampleNotFound
from service.records.audit import Actor
from service.records.reviews import MAX_SEED, MAX_SIZE, Recall, Sample, Verdict

MAX_OBJECTS = 10_000


class NewSample(Wire):
    """Which pictures to draw from, and how many. The same values give the same sample again."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[Moment, Field(description="Received at this time or later.")]
    until: Annotated[Moment, Field(description="Received before this time, which must be over.")]
    n: Annotated[int, Field(ge=1, le=MAX_SIZE, description="How many pictures to draw.")]
    seed: Annotated[str, Field(min_length=1, max_length=MAX_SEED, default_factory=lambda: secrets.token_hex(8))]


class SampleDocument(Wire):
    """`population` is the number of pictures in the period, `receipts` are those drawn, in the order of the draw."""

    id: str
    since: datetime
    until: datetime
    n: int
    seed: str
    population: int
    receipts: list[UUID]
    drawn_at: datetime

    @classmethod
    def of(cls, sample: Sample) -> "SampleDocument":
        return cls(
            id=sample.id,
            since=sample.since,
            until=sample.until,
            n=sample.size,
            seed=sample.seed,
            population=sample.population,
            receipts=list(sample.receipts),
            drawn_at=sample.drawn_at,
        )


class NewVerdict(Wire):
    """What a person sees in one picture of the sample."""

    model_config = ConfigDict(extra="forbid")

    receipt: UUID
    class_name: Annotated[str, Field(alias="class")]
    seen: Annotated[int, Field(ge=0, le=MAX_OBJECTS, description="Objects of the class that the picture shows.")]
    missed: Annotated[int, Field(ge=0, le=MAX_OBJECTS, description="How many of them are not hidden.")]


class RecallDocument(Wire):
    """Of one class. Bounds are one-sided, of 95 % confidence, by Clopper and Pearson; null where nothing was seen."""

    class_name: Annotated[str, Field(alias="class")]
    pictures: Annotated[int, Field(description="Pictures with a verdict on this class.")]
    seen: int
    missed: int
    recall: Annotated[float | None, Field(description="Share of objects that were hidden.")]
    recall_bound: Annotated[
        float | None, Field(description="At least this share, if the objects of one picture are independent.")
    ]
    clean: Annotated[int, Field(description="Pictures that show the class and have no miss.")]
    clean_bound: Annotated[float | None, Field(description="At least this share of such pictures has no miss.")]

    @classmethod
    def of(cls, recall: Recall) -> "RecallDocument":
        return cls.model_validate({name: getattr(recall, name) for name in cls.model_fields})


class SampleRecallDocument(Wire):
    sample: SampleDocument
    reviewed: Annotated[int, Field(description="Pictures of the sample that have a verdict.")]
    classes: list[RecallDocument]


def router() -> APIRouter:
    routes = APIRouter(tags=["reviews"])
    common = (*openapi.COMMON, NotPermitted, QuotaExceeded)
    security = {"security": openapi.SECURITY}
    routes.add_api_route(
        "/v1/samples",
        draw,
        methods=["POST"],
        status_code=201,
        operation_id="draw_sample",
        summary="Draw pictures for review",
        response_model=SampleDocument,
        responses=openapi.problems(*common, *openapi.JSON_BODY),
        openapi_extra=security | {"requestBody": openapi.json_body(NewSample)},
    )
    routes.add_api_route(
        "/v1/samples/{id}",
        one,
        methods=["GET"],
        operation_id="get_sample",
        summary="One sample, and the recall that its verdicts give",
        response_model=SampleRecallDocument,
        responses=openapi.problems(*common, SampleNotFound),
        openapi_extra=security,
    )
    routes.add_api_route(
        "/v1/samples/{id}/verdicts",
        judge,
        methods=["POST"],
        status_code=201,
        operation_id="record_verdict",
        summary="Record what a picture shows",
        response_model=SampleRecallDocument,
        responses=openapi.problems(*common, SampleNotFound, *openapi.JSON_BODY),
        openapi_extra=security | {"requestBody": openapi.json_body(NewVerdict)},
    )
    return routes


async def draw(request: Request, services: ServicesOf, caller: CallerOf) -> SampleDocument:
    """Each picture that left in the period has the same chance."""
    wanted = await read_json(request, NewSample)
    actor = Actor.caller(caller.id)
    sample = await services.reviews.draw(wanted.since, wanted.until, wanted.n, wanted.seed, actor)
    return SampleDocument.of(sample)


async def one(id: str, services: ServicesOf) -> SampleRecallDocument:
    """The last verdict on each picture and class counts."""
    sample = await services.reviews.get(id)
    verdicts = await services.reviews.verdicts(id)
    return SampleRecallDocument(
        sample=SampleDocument.of(sample),
        reviewed=len({verdict.receipt for verdict in verdicts}),
        classes=[RecallDocument.of(each) for each in await services.reviews.recall(id)],
    )


async def judge(id: str, request: Request, services: ServicesOf, caller: CallerOf) -> SampleRecallDocument:
    """A later verdict on the same picture and class takes the place of the one before; both are kept."""
    given = await read_json(request, NewVerdict)
    known = services.rules.defaults.class_names
    if given.class_name not in known:
        raise InvalidRequest([OptionProblem("/class", f"give one of {', '.join(known)}")])
    verdict = Verdict(given.receipt, given.class_name, given.seen, given.missed)
    await services.reviews.judge(id, verdict, Actor.caller(caller.id))
    return await one(id, services)
