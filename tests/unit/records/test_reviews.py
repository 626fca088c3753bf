"""Samples are random and reproducible, verdicts are kept, and the bound is the exact one."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from scipy import stats

from service.errors import InvalidRequest, SampleNotFound
from service.records.audit import COMMAND_LINE, Action, Actor, ActorKind, AuditLog
from service.records.binomial import lower_bound
from service.records.database import Database
from service.records.receipt import Outcome, OutputFacts
from service.records.repository import ReceiptRepository
from service.records.reviews import Recall, ReviewRepository, Sample, Verdict, recalls
from tests.unit.records.stores import minimal

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = datetime(2026, 4, 1, tzinfo=UTC)
LEFT = OutputFacts("jpeg", 1, "ab" * 32)


@pytest.fixture
def reviews(database: Database) -> ReviewRepository:
    return ReviewRepository(database)


async def pictures(receipts: ReceiptRepository, count: int) -> list[UUID]:
    """Pictures that left in the period, and beside them what must not be drawn."""
    made = [
        minimal(outcome=Outcome.OK, output=LEFT, received_at=SINCE + timedelta(minutes=7 * i)) for i in range(count)
    ]
    for receipt in made:
        await receipts.add(receipt)
    await receipts.add(minimal(outcome=Outcome.OK, received_at=SINCE))  # searched only
    await receipts.add(minimal(outcome=Outcome.REJECTED, received_at=SINCE))
    await receipts.add(minimal(outcome=Outcome.OK, output=LEFT, received_at=UNTIL))
    await receipts.add(minimal(outcome=Outcome.OK, output=LEFT, received_at=SINCE - timedelta(microseconds=1)))
    return [receipt.id for receipt in made]


async def draw(reviews: ReviewRepository, size: int, seed: str) -> Sample:
    return await reviews.draw(SINCE, UNTIL, size, seed, COMMAND_LINE)


async def test_a_sample_is_the_same_each_time(
    database: Database, receipts: ReceiptRepository, reviews: ReviewRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.records.reviews.PAGE", 7)
    ids = await pictures(receipts, 40)
    sample = await draw(reviews, 10, "a")
    assert sample.population == 40
    assert len(set(sample.receipts)) == 10
    assert set(sample.receipts) < set(ids)
    assert await draw(reviews, 10, "a") == await reviews.get(sample.id) == sample
    assert (await draw(reviews, 12, "a")).receipts[:10] == sample.receipts
    assert set((await draw(reviews, 10, "b")).receipts) != set(sample.receipts)
    assert set((await draw(reviews, 500, "b")).receipts) == set(ids)
    # Also after receipts have come and gone: what was drawn is what is reviewed.
    await receipts.add(minimal(outcome=Outcome.OK, output=LEFT, received_at=SINCE))
    assert await draw(reviews, 10, "a") == sample
    assert len((await AuditLog(database).page(action=Action.SAMPLE_DRAWN)).entries) == 4


async def test_every_picture_has_the_same_chance(receipts: ReceiptRepository, reviews: ReviewRepository) -> None:
    ids = await pictures(receipts, 12)
    drawn: Counter[UUID] = Counter()
    for seed in range(120):
        drawn.update((await reviews._smallest(SINCE, UNTIL, 3, f"s{seed}"))[1])
    assert set(drawn) == set(ids)
    assert stats.chisquare([drawn[id] for id in ids]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("since", "until", "size", "seed", "pointer"),
    [
        (UNTIL, SINCE, 1, "a", "/until"),
        (SINCE, datetime.now(UTC) + timedelta(days=1), 1, "a", "/until"),
        (SINCE, UNTIL, 0, "a", "/n"),
        (SINCE, UNTIL, 10_001, "a", "/n"),
        (SINCE, UNTIL, 1, "", "/seed"),
        (SINCE, UNTIL, 1, "a\n", "/seed"),
    ],
)
async def test_a_sample_that_cannot_be_is_refused(
    reviews: ReviewRepository, since: datetime, until: datetime, size: int, seed: str, pointer: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await reviews.draw(since, until, size, seed, COMMAND_LINE)
    assert [problem.pointer for problem in caught.value.problems] == [pointer]


async def test_the_last_verdict_counts_and_all_are_kept(
    database: Database, receipts: ReceiptRepository, reviews: ReviewRepository
) -> None:
    await pictures(receipts, 5)
    sample = await draw(reviews, 3, "a")
    one, two, three = sample.receipts
    reviewer = Actor(ActorKind.KEY, "0123456789abcdef", "reviewer")
    for verdict in (
        Verdict(one, "face", 3, 2),
        Verdict(one, "plate", 1, 0),
        Verdict(two, "face", 0, 0),
        Verdict(one, "face", 4, 1),
        Verdict(three, "face", 6, 0),
    ):
        await reviews.judge(sample.id, verdict, reviewer)
    face, plate = await reviews.recall(sample.id)
    assert (face.class_name, face.pictures, face.seen, face.missed, face.recall) == ("face", 3, 10, 1, 0.9)
    assert face.recall_bound == pytest.approx(0.60584, abs=1e-5)
    # The picture without a face says nothing of faces.
    assert (face.clean, face.clean_bound) == (1, pytest.approx(lower_bound(1, 2)))
    assert plate == Recall("plate", 1, 1, 0, 1.0, pytest.approx(0.05), 1, pytest.approx(0.05))
    entries = (await AuditLog(database).page(action=Action.VERDICT_RECORDED)).entries
    assert len(entries) == 5
    assert entries[0].actor == reviewer
    assert (entries[0].subject, entries[0].facts) == (str(three), {"class": "face", "seen": 6, "missed": 0})


async def test_a_verdict_that_cannot_be_is_refused(receipts: ReceiptRepository, reviews: ReviewRepository) -> None:
    await pictures(receipts, 2)
    sample = await draw(reviews, 1, "a")
    with pytest.raises(SampleNotFound):
        await reviews.judge("nonsense", Verdict(sample.receipts[0], "face", 1, 0), COMMAND_LINE)
    for wrong in (Verdict(uuid4(), "face", 1, 0), Verdict(sample.receipts[0], "face", 1, 2)):
        with pytest.raises(InvalidRequest):
            await reviews.judge(sample.id, wrong, COMMAND_LINE)
    assert await reviews.recall(sample.id) == []


async def test_samples_of_a_period_are_listed(receipts: ReceiptRepository, reviews: ReviewRepository) -> None:
    await pictures(receipts, 2)
    sample = await draw(reviews, 1, "a")
    assert await reviews.list() == await reviews.list(SINCE, UNTIL) == [sample]
    assert await reviews.list(SINCE + timedelta(days=1), UNTIL) == []
    assert await reviews.list(SINCE, UNTIL - timedelta(days=1)) == []


def test_nothing_seen_is_no_recall() -> None:
    assert recalls([Verdict(uuid4(), "face", 0, 0)]) == [Recall("face", 1, 0, 0, None, None, 0, None)]


@pytest.mark.parametrize("of", [1, 2, 3, 10, 59, 299, 5000, 200_000])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_bound_is_that_of_clopper_and_pearson(of: int, confidence: float) -> None:
    """Compared with the quantile of the beta distribution, which is the same bound by another way."""
    for misses in {0, 1, 2, of // 100, of // 2, of - 1}:
        hits = of - misses
        if hits < 1 or misses > 5000:
            continue
        expected = stats.beta.ppf(1 - confidence, hits, of - hits + 1)
        assert lower_bound(hits, of, confidence) == pytest.approx(expected, abs=1e-9)


def test_the_bound_at_its_ends() -> None:
    assert lower_bound(0, 0) == lower_bound(0, 9) == 0
    assert lower_bound(59, 59) == pytest.approx(0.05 ** (1 / 59))  # the rule of three: 59 without a miss are 95 %
    for wrong in ((2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="hits"):
            lower_bound(*wrong)


def test_the_bound_covers_the_truth_as_often_as_it_says() -> None:
    """Over all outcomes, weighed by their probability: never less than 95 %."""
    of = 40
    for share in (0.5, 0.8, 0.9, 0.95, 0.99):
        covered = sum(stats.binom.pmf(hits, of, share) for hits in range(of + 1) if lower_bound(hits, of) <= share)
        assert covered >= 0.95
