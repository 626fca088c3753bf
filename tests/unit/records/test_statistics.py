"""Sums over receipts: the same on SQLite and on PostgreSQL, and no receipt outside of the period."""

from datetime import UTC, date, datetime, timedelta

import pytest

from service.errors import InvalidRequest
from service.records import statistics
from service.records.database import Database
from service.records.key import Role
from service.records.keys import KeyRepository
from service.records.receipt import ModelFacts, Outcome
from service.records.repository import ReceiptRepository
from service.records.statistics import CallerCount, ModelUse, StageTime, StatisticsRepository
from tests.unit.records.stores import minimal

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = datetime(2026, 4, 1, tzinfo=UTC)
OLD, NEW = ModelFacts("face", "1", "aa" * 32), ModelFacts("face", "2", "bb" * 32)
PLATE = ModelFacts("plate", "1", "cc" * 32)


async def test_receipts_are_summed_up(database: Database, receipts: ReceiptRepository, keys: KeyRepository) -> None:
    key, _ = await keys.create("viewer", Role.ANONYMIZE)
    first = datetime(2026, 3, 1, 23, 59, 59, 999_999, UTC)
    second = datetime(2026, 3, 2, tzinfo=UTC)
    ok = {"outcome": Outcome.OK, "models": (OLD, PLATE)}
    for spent, counts in ((10.0, {"face": 3, "plate": 0}), (30.0, {"face": 1, "plate": 2})):
        timings = {"decode": spent, "detect": 2 * spent}
        await receipts.add(minimal(received_at=first, caller=key.id, counts=counts, timings_ms=timings, **ok))
    await receipts.add(minimal(received_at=second, **ok | {"models": (NEW, PLATE)}))
    await receipts.add(minimal(received_at=second, outcome=Outcome.REJECTED, problem="corrupt-image"))
    await receipts.add(minimal(received_at=second, outcome=Outcome.FAILED, problem="detector-timeout"))
    await receipts.add(minimal(received_at=second, outcome=Outcome.REJECTED, problem="corrupt-image"))
    for outside in (SINCE - timedelta(microseconds=1), UNTIL):
        await receipts.add(minimal(received_at=outside, caller=key.id, counts={"face": 99}, **ok))

    found = await StatisticsRepository(database).of(SINCE, UNTIL)
    assert [(each.day, each.outcomes, each.objects) for each in found.days] == [
        (date(2026, 3, 1), {Outcome.OK: 2}, {"face": 4, "plate": 2}),
        (date(2026, 3, 2), {Outcome.OK: 1, Outcome.REJECTED: 2, Outcome.FAILED: 1}, {}),
    ]
    assert dict(found.problems) == {"corrupt-image": 2, "detector-timeout": 1}
    assert list(found.problems) == ["corrupt-image", "detector-timeout"]
    assert found.callers == [CallerCount(None, None, 4), CallerCount(key.id, "viewer", 2)]
    assert found.measured == 3
    assert found.stages == [StageTime("decode", 2, 20.0, 29.0), StageTime("detect", 2, 40.0, 58.0)]
    assert found.models == [
        ModelUse("face", "2", "bb" * 32, 1, second),
        ModelUse("face", "1", "aa" * 32, 2, first),
        ModelUse("plate", "1", "cc" * 32, 3, second),
    ]


async def test_days_are_those_of_utc(database: Database, receipts: ReceiptRepository) -> None:
    """A receipt of 01:00 in Berlin is of the day before."""
    moment = datetime.fromisoformat("2026-03-02T00:30:00+01:00")
    await receipts.add(minimal(received_at=moment, outcome=Outcome.OK))
    found = await StatisticsRepository(database).of(SINCE, UNTIL)
    assert [each.day for each in found.days] == [date(2026, 3, 1)]


async def test_nothing_is_nothing(database: Database) -> None:
    found = await StatisticsRepository(database).of(SINCE, UNTIL)
    assert (found.days, found.callers, found.stages, found.models, dict(found.problems)) == ([], [], [], [], {})


async def test_the_work_is_bounded(
    database: Database, receipts: ReceiptRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "MEASURED", 2)
    for name in ("MAX_CALLERS", "MAX_PROBLEMS", "MAX_MODELS"):
        monkeypatch.setattr(statistics, name, 2)
    for i in range(4):
        model = ModelFacts("face", str(i), "aa" * 32)
        moment = SINCE + timedelta(minutes=i)
        await receipts.add(
            minimal(received_at=moment, outcome=Outcome.OK, caller=f"{i}", models=(model,), timings_ms={"decode": i})
        )
        await receipts.add(minimal(received_at=moment, outcome=Outcome.FAILED, problem=f"problem-{i}", models=(model,)))
    found = await StatisticsRepository(database).of(SINCE, UNTIL)
    assert (len(found.callers), len(found.problems), found.measured) == (2, 2, 2)
    assert [each.version for each in found.models] == ["3", "2"], "the newest stay"
    assert found.stages == [StageTime("decode", 2, 2.5, 2.95)], "the newest are measured"


@pytest.mark.parametrize(
    ("since", "until"), [(UNTIL, SINCE), (SINCE, SINCE), (SINCE, SINCE + timedelta(days=366, seconds=1))]
)
async def test_a_period_that_cannot_be_is_refused(database: Database, since: datetime, until: datetime) -> None:
    with pytest.raises(InvalidRequest):
        await StatisticsRepository(database).of(since, until)
