"""Quality control: random samples of receipts, what people saw in their pictures, and the recall that follows.

Veil keeps no picture: whoever reviews finds it by the receipt's reference or by the SHA-256 of what left.
"""

import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, literal, select, tuple_
from uuid_utils.compat import uuid7

from service.errors import InvalidRequest, OptionProblem, SampleNotFound
from service.records.audit import Action, Actor, record
from service.records.binomial import lower_bound
from service.records.database import Database
from service.records.tables import receipts, samples, verdicts

PAGE: Final = 1000
MAX_SIZE: Final = 10_000
MAX_SEED: Final = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """Receipts drawn from the pictures that left in a period, each with the same chance.

    `size` is how many were asked for, `population` how many there were. The same period, size and seed are the same
    sample, with the same id.
    """

    id: str
    since: datetime
    until: datetime
    size: int
    seed: str
    population: int
    receipts: tuple[UUID, ...]
    drawn_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person found in one picture: how many objects of a class it shows, and how many of them are not hidden."""

    receipt: UUID
    class_name: str
    seen: int
    missed: int


@dataclass(frozen=True, slots=True)
class Recall:
    """What a sample says of one class; the bounds are one-sided, of 95 % confidence.

    `recall` is the share of objects that were hidden; its bound takes the objects of one picture for independent.
    `clean` is the number of pictures without a miss; its bound takes nothing for granted but the draw. Shares are None
    where nothing was seen.
    """

    class_name: str
    pictures: int
    seen: int
    missed: int
    recall: float | None
    recall_bound: float | None
    clean: int
    clean_bound: float | None


class ReviewRepository:
    """The samples and verdicts of one database. Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def draw(self, since: datetime, until: datetime, size: int, seed: str, actor: Actor) -> Sample:
        """The sample of these conditions, drawn now or found as it was drawn before. Raises InvalidRequest.

        Drawn are the receipts whose hash with the seed is smallest: reproducible from the receipts alone, in any order.
        """
        _check(since, until, size, seed)
        since, until = since.astimezone(UTC), until.astimezone(UTC)
        name = f"{since.isoformat()}|{until.isoformat()}|{size}|{seed}"
        id = hashlib.sha256(name.encode()).hexdigest()[:16]
        found = await self._find(id)
        if found is not None:
            return found
        population, drawn = await self._smallest(since, until, size, seed)
        values = {
            "id": id,
            "since": since,
            "until": until,
            "size": size,
            "seed": seed,
            "population": population,
            "receipts": [str(each) for each in drawn],
            "drawn_at": datetime.now(UTC),
        }
        insert = self._database.insert(samples).values(values)
        facts = {"receipts": len(drawn), "population": population}
        await self._database.execute(
            insert.on_conflict_do_nothing(index_elements=[samples.c.id]),
            record(self._database, actor, Action.SAMPLE_DRAWN, id, facts),
        )
        return await self.get(id)

    async def get(self, id: str) -> Sample:
        """The sample with this id. Raises SampleNotFound."""
        found = await self._find(id)
        if found is None:
            raise SampleNotFound
        return found

    async def list(self, since: datetime | None = None, until: datetime | None = None) -> Sequence[Sample]:
        """Samples whose period lies within the given one, the newest period first."""
        statement = select(samples).order_by(samples.c.since.desc(), samples.c.id)
        if since is not None:
            statement = statement.where(samples.c.since >= since)
        if until is not None:
            statement = statement.where(samples.c.until <= until)
        return [_sample(row) for row in await self._database.rows(statement)]

    async def judge(self, sample: str, verdict: Verdict, actor: Actor) -> None:
        """Records a verdict; a later one on the same picture and class takes its place, and both are kept.

        Raises SampleNotFound, and InvalidRequest if the picture is not in the sample or the counts cannot be.
        """
        drawn = await self.get(sample)
        problems = []
        if verdict.receipt not in drawn.receipts:
            problems.append(OptionProblem("/receipt", "this receipt is not in the sample"))
        if not 0 <= verdict.missed <= verdict.seen:
            problems.append(OptionProblem("/missed", "give a number from 0 to seen"))
        if problems:
            raise InvalidRequest(problems)
        values = {
            "id": uuid7(),
            "sample_id": sample,
            "receipt_id": verdict.receipt,
            "class_name": verdict.class_name,
            "seen": verdict.seen,
            "missed": verdict.missed,
            "reviewer": actor.key_id,
            "at": datetime.now(UTC),
        }
        insert = self._database.insert(verdicts).values(values)
        facts = {"class": verdict.class_name, "seen": verdict.seen, "missed": verdict.missed}
        await self._database.execute(
            insert.on_conflict_do_nothing(index_elements=[verdicts.c.id]),
            record(self._database, actor, Action.VERDICT_RECORDED, str(verdict.receipt), facts),
        )

    async def verdicts(self, sample: str) -> Sequence[Verdict]:
        """The verdicts that count: the last one on each picture and class."""
        statement = select(verdicts).where(verdicts.c.sample_id == sample).order_by(verdicts.c.at, verdicts.c.id)
        last = {(row["receipt_id"], row["class_name"]): row for row in await self._database.rows(statement)}
        return [Verdict(row["receipt_id"], row["class_name"], row["seen"], row["missed"]) for row in last.values()]

    async def recall(self, sample: str) -> Sequence[Recall]:
        """What the verdicts on a sample say, by class. Raises SampleNotFound."""
        await self.get(sample)
        return recalls(await self.verdicts(sample))

    async def _find(self, id: str) -> Sample | None:
        rows = await self._database.rows(select(samples).where(samples.c.id == id))
        return _sample(rows[0]) if rows else None

    async def _smallest(self, since: datetime, until: datetime, size: int, seed: str) -> tuple[int, Sequence[UUID]]:
        """How many pictures left in the period, and the drawn ones in the order of their hashes."""
        at, id = receipts.c.received_at, receipts.c.id
        base = select(id, at).where(at >= since, at < until, receipts.c.output_sha256.is_not(None))
        base = base.order_by(at, id).limit(PAGE)
        population, statement = 0, base
        kept: list[tuple[bytes, UUID]] = []
        while rows := await self._database.rows(statement):
            population += len(rows)
            hashed = [(_place(seed, row["id"]), row["id"]) for row in rows]
            kept = heapq.nsmallest(size, [*kept, *hashed])
            last = rows[-1]
            place = tuple_(literal(last["received_at"], at.type), literal(last["id"], id.type))
            statement = base.where(tuple_(at, id) > place)
        return population, [each for _, each in kept]


def recalls(given: Sequence[Verdict]) -> Sequence[Recall]:
    """What verdicts say, by class."""
    return [_recall(name, [v for v in given if v.class_name == name]) for name in sorted({v.class_name for v in given})]


def _recall(class_name: str, given: Sequence[Verdict]) -> Recall:
    seen, missed = sum(v.seen for v in given), sum(v.missed for v in given)
    shown = [v for v in given if v.seen]
    clean = sum(v.missed == 0 for v in shown)
    return Recall(
        class_name=class_name,
        pictures=len(given),
        seen=seen,
        missed=missed,
        recall=(seen - missed) / seen if seen else None,
        recall_bound=lower_bound(seen - missed, seen) if seen else None,
        clean=clean,
        clean_bound=lower_bound(clean, len(shown)) if shown else None,
    )


def _place(seed: str, id: UUID) -> bytes:
    return hashlib.sha256(f"{seed}|{id}".encode()).digest()


def _check(since: datetime, until: datetime, size: int, seed: str) -> None:
    problems = []
    if not since < until:
        problems.append(OptionProblem("/until", "give a time after since"))
    elif until > datetime.now(UTC):
        problems.append(OptionProblem("/until", "give a time that is over: what is still added could not be drawn"))
    if not 1 <= size <= MAX_SIZE:
        problems.append(OptionProblem("/n", f"give a number from 1 to {MAX_SIZE}"))
    if not (0 < len(seed) <= MAX_SEED and seed.isprintable()):
        problems.append(OptionProblem("/seed", f"give 1 to {MAX_SEED} printable characters"))
    if problems:
        raise InvalidRequest(problems)


def _sample(row: RowMapping) -> Sample:
    values: dict[str, Any] = dict(row)
    return Sample(**{**values, "receipts": tuple(UUID(each) for each in row["receipts"])})
