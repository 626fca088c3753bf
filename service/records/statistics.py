"""What the receipts of a period say together: counts by day, outcome, problem, class and caller, times, models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import BigInteger, ColumnElement, RowMapping, Select, Text, cast, func, select

from service.errors import InvalidRequest, OptionProblem
from service.records.database import Database
from service.records.receipt import Outcome
from service.records.tables import api_keys, receipts

MAX_DAYS: Final = 366
MAX_CALLERS: Final = 50
MAX_PROBLEMS: Final = 50
MAX_MODELS: Final = 100
MEASURED: Final = 1000
"""Receipts, the newest ones of the period, whose times are looked at."""


@dataclass(slots=True)
class Day:
    """Receipts of one day (UTC) by outcome, and objects found by class."""

    day: date
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallerCount:
    """`caller` is a key's id, None where no key was needed; `name` is what the key is called."""

    caller: str | None
    name: str | None
    receipts: int


@dataclass(frozen=True, slots=True)
class StageTime:
    """Milliseconds of one stage over the receipts that have it."""

    stage: str
    receipts: int
    median: float
    p95: float


@dataclass(frozen=True, slots=True)
class ModelUse:
    name: str
    version: str
    sha256: str
    receipts: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Statistics:
    """`since` ≤ received < `until`. `days` are those with a receipt, in order; `callers` and `problems` fall in number.

    `callers` has at most `MAX_CALLERS`, `problems` at most `MAX_PROBLEMS`. `stages` is over the newest `measured`
    pictures that were answered.
    """

    since: datetime
    until: datetime
    days: Sequence[Day]
    problems: Mapping[str, int]
    callers: Sequence[CallerCount]
    stages: Sequence[StageTime]
    measured: int
    models: Sequence[ModelUse]


class StatisticsRepository:
    """Sums over the receipts of one database. Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, since: datetime, until: datetime) -> Statistics:
        """The statistics of a period. Raises InvalidRequest if it is empty or longer than `MAX_DAYS`."""
        if not since < until:
            raise InvalidRequest([OptionProblem("/until", "give a time after since")])
        if until - since > timedelta(days=MAX_DAYS):
            raise InvalidRequest([OptionProblem("/since", f"give a period of at most {MAX_DAYS} days")])
        within = (receipts.c.received_at >= since, receipts.c.received_at < until)
        measured = await self._times(within)
        return Statistics(
            since=since,
            until=until,
            days=await self._days(within),
            problems=await self._problems(within),
            callers=await self._callers(within),
            stages=_stages(measured),
            measured=len(measured),
            models=await self._models(within),
        )

    async def _days(self, within: tuple[ColumnElement[bool], ...]) -> Sequence[Day]:
        day = self._day()
        days: dict[str, Day] = {}
        by_outcome = select(day, receipts.c.outcome, func.count().label("receipts")).where(*within)
        for row in await self._database.rows(by_outcome.group_by(day, receipts.c.outcome).order_by(day)):
            found = days.setdefault(row["day"], Day(date.fromisoformat(row["day"])))
            found.outcomes[Outcome(row["outcome"])] = row["receipts"]
        for row in await self._database.rows(self._objects(day, within)):
            days[row["day"]].objects[row["class_name"]] = int(row["objects"])
        return list(days.values())

    def _day(self) -> ColumnElement[str]:
        """The UTC day of a receipt, as ISO text."""
        at = receipts.c.received_at
        text = (
            func.to_char(func.timezone("UTC", at), "YYYY-MM-DD")
            if self._database.on_postgresql
            else func.strftime("%Y-%m-%d", at)
        )
        return cast(text, Text).label("day")

    def _objects(self, day: ColumnElement[str], within: tuple[ColumnElement[bool], ...]) -> Select[Any]:
        """Objects by day and class, out of the JSON counts."""
        opened = func.jsonb_each_text if self._database.on_postgresql else func.json_each
        counts = opened(receipts.c.counts).table_valued("key", "value")
        total = func.sum(cast(counts.c.value, BigInteger))
        statement = select(day, counts.c.key.label("class_name"), total.label("objects"))
        statement = statement.select_from(receipts).join(counts, onclause=func.length(counts.c.key) > 0)
        return statement.where(*within).group_by(day, counts.c.key).order_by(day, counts.c.key)

    async def _problems(self, within: tuple[ColumnElement[bool], ...]) -> Mapping[str, int]:
        total = func.count().label("receipts")
        statement = select(receipts.c.problem, total).where(*within, receipts.c.problem.is_not(None))
        statement = statement.group_by(receipts.c.problem).order_by(total.desc(), receipts.c.problem)
        return {row["problem"]: row["receipts"] for row in await self._database.rows(statement.limit(MAX_PROBLEMS))}

    async def _callers(self, within: tuple[ColumnElement[bool], ...]) -> Sequence[CallerCount]:
        total = func.count().label("receipts")
        inner = select(receipts.c.caller, total).where(*within).group_by(receipts.c.caller)
        most = inner.order_by(total.desc(), receipts.c.caller).limit(MAX_CALLERS).subquery()
        statement = (
            select(most.c.caller, api_keys.c.name, most.c.receipts)
            .select_from(most.outerjoin(api_keys, api_keys.c.id == most.c.caller))
            .order_by(most.c.receipts.desc(), most.c.caller)
        )
        rows = await self._database.rows(statement)
        return [CallerCount(row["caller"], row["name"], row["receipts"]) for row in rows]

    async def _times(self, within: tuple[ColumnElement[bool], ...]) -> Sequence[Mapping[str, float]]:
        statement = select(receipts.c.timings_ms).where(*within, receipts.c.outcome == Outcome.OK.value)
        statement = statement.order_by(receipts.c.received_at.desc(), receipts.c.id.desc()).limit(MEASURED)
        return [row["timings_ms"] for row in await self._database.rows(statement)]

    async def _models(self, within: tuple[ColumnElement[bool], ...]) -> Sequence[ModelUse]:
        last = func.max(receipts.c.received_at).label("last")
        statement = select(receipts.c.models, func.count().label("receipts"), last).where(*within)
        rows = await self._database.rows(statement.group_by(receipts.c.models).order_by(last.desc()).limit(MAX_MODELS))
        return _uses(rows)


def _uses(rows: Sequence[RowMapping]) -> Sequence[ModelUse]:
    """Single models, by name and the last use, out of the combinations that receipts name."""
    found: dict[tuple[str, str, str], ModelUse] = {}
    for row in rows:
        for model in row["models"]:
            key = (model["name"], model["version"], model["sha256"])
            before = found.get(key)
            seen = row["receipts"] + (before.receipts if before else 0)
            last = max(row["last"], before.last) if before else row["last"]
            found[key] = ModelUse(*key, seen, last.astimezone(UTC))
    return sorted(found.values(), key=lambda use: (use.name, -use.last.timestamp(), use.version, use.sha256))


def _stages(measured: Sequence[Mapping[str, float]]) -> Sequence[StageTime]:
    """Median and 95th percentile of each stage, in the order in which a picture goes through them."""
    values: dict[str, list[float]] = {}
    for timings in sorted(measured, key=len, reverse=True):
        for stage, spent in timings.items():
            values.setdefault(stage, []).append(spent)
    return [
        StageTime(stage, len(spent), float(np.percentile(spent, 50)), float(np.percentile(spent, 95)))
        for stage, spent in values.items()
    ]
