"""Statistics of the receipts, for the dashboard and for reports. Each look is audited, as reading receipts is."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api import openapi
from service.api.auth import CallerOf, ServicesOf
from service.api.moments import Moment
from service.api.schemas import Wire
from service.errors import InvalidRequest, NotPermitted, QuotaExceeded
from service.records.audit import Action, Actor
from service.records.receipt import Outcome
from service.records.statistics import MAX_CALLERS, MAX_DAYS, MEASURED, Statistics

DEFAULT_DAYS = 30


class Period(BaseModel):
    """Times are RFC 3339 with an offset, e.g. 2026-05-04T08:00:00Z."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Annotated[
        Moment | None, Field(description=f"Received at this time or later; {DEFAULT_DAYS} days ago by default.")
    ] = None
    until: Annotated[
        Moment | None,
        Field(description=f"Received before this time, now by default; at most {MAX_DAYS} days after since."),
    ] = None


class DayDocument(Wire):
    """One day (UTC) with receipts."""

    day: date
    outcomes: Annotated[dict[Outcome, int], Field(description="Receipts by outcome.")]
    objects: Annotated[dict[str, int], Field(description="Objects found, by class.")]


class CallerDocument(Wire):
    caller: Annotated[str | None, Field(description="Id of the API key; null where no keys are needed.")]
    name: str | None
    receipts: int


class StageDocument(Wire):
    stage: str
    receipts: Annotated[int, Field(description="Measured receipts that have this stage.")]
    median_ms: float
    p95_ms: float


class ModelUseDocument(Wire):
    name: str
    version: str
    sha256: str
    receipts: int
    last: datetime


class StatisticsDocument(Wire):
    since: datetime
    until: datetime
    days: list[DayDocument]
    problems: Annotated[dict[str, int], Field(description="Receipts by the slug of their problem, most first.")]
    callers: Annotated[list[CallerDocument], Field(description=f"The {MAX_CALLERS} with most receipts.")]
    stages: list[StageDocument]
    measured: Annotated[
        int, Field(description=f"How many receipts the times are of: the newest {MEASURED} answered pictures at most.")
    ]
    models: list[ModelUseDocument]

    @classmethod
    def of(cls, found: Statistics) -> "StatisticsDocument":
        return cls(
            since=found.since,
            until=found.until,
            days=[DayDocument(day=each.day, outcomes=each.outcomes, objects=each.objects) for each in found.days],
            problems=dict(found.problems),
            callers=[CallerDocument(caller=c.caller, name=c.name, receipts=c.receipts) for c in found.callers],
            stages=[
                StageDocument(
                    stage=each.stage,
                    receipts=each.receipts,
                    median_ms=round(each.median, 3),
                    p95_ms=round(each.p95, 3),
                )
                for each in found.stages
            ],
            measured=found.measured,
            models=[
                ModelUseDocument(name=m.name, version=m.version, sha256=m.sha256, receipts=m.receipts, last=m.last)
                for m in found.models
            ],
        )


def router() -> APIRouter:
    routes = APIRouter(tags=["receipts"])
    routes.add_api_route(
        "/v1/statistics",
        statistics,
        methods=["GET"],
        operation_id="get_statistics",
        summary="What the receipts of a period say together",
        response_model=StatisticsDocument,
        responses=openapi.problems(*openapi.COMMON, NotPermitted, QuotaExceeded, InvalidRequest),
        openapi_extra={"security": openapi.SECURITY},
    )
    return routes


async def statistics(
    query: Annotated[Period, Query()], response: Response, services: ServicesOf, caller: CallerOf
) -> StatisticsDocument:
    """Receipts by day, outcome, problem, class and caller; times of the stages; models. Days are those of UTC."""
    until = query.until or datetime.now(UTC)
    since = query.since or until - timedelta(days=DEFAULT_DAYS)
    found = await services.statistics.of(since, until)
    total = sum(sum(day.outcomes.values()) for day in found.days)
    facts = {"receipts": total, "since": since.isoformat(), "until": until.isoformat()}
    await services.audit.add(Actor.caller(caller.id), Action.RECEIPTS_REPORTED, None, facts)
    response.headers["Cache-Control"] = "no-store"
    return StatisticsDocument.of(found)
