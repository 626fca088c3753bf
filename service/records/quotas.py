"""What keys have used of their quotas: one row for each key, so that all replicas count together.

A bucket for each quota holds what a minute allows and is refilled evenly (the generic cell rate algorithm, ITU-T
I.371: the row keeps the moment at which the bucket will be full again). One statement asks and takes, by the database's
own clock on PostgreSQL, so replicas agree to the last request whatever their clocks say. It costs one round trip for
each request of a key that has a quota, and none for others; the commit is not waited for on disk, because a count that
a crash loses harms nobody.
"""

import math
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Double, RowMapping, Select, and_, case, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import ReturningInsert

from service.records.database import Database
from service.records.key import Key
from service.records.tables import key_usage

WINDOW: Final = 60.0
"""Seconds in which a bucket is refilled."""

REQUESTS, MEGAPIXELS = "requests", "megapixels"

MOST_DEBT: Final = 3600.0
"""Seconds for which one picture, however large, can use up a quota."""

_ROUNDING: Final = 1e-3
"""Seconds that adding up may be off."""


@dataclass(frozen=True, slots=True)
class Level:
    """One bucket: `left` of `quota` whole units, and `wait` seconds until there is one more."""

    policy: str
    quota: int
    left: int
    wait: float


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether it was granted, which policies refused it and for how many seconds, and how full the buckets are now."""

    levels: tuple[Level, ...] = ()
    refused_by: tuple[str, ...] = ()
    retry_after: float = 0.0


class QuotaRepository:
    """The usage of one database's keys. Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_request(self, key: Key, *, picture: bool) -> Taken:
        """Takes one request. `picture`: refused, too, while the key has no megapixels left."""
        quota = key.terms.quota
        return await self._take(
            key,
            requests=0.0 if quota.requests is None else WINDOW / quota.requests,
            megapixels=0.0,
            some_megapixels=picture,
        )

    async def take_megapixels(self, key: Key, megapixels: float) -> Taken:
        """Takes a picture's megapixels, if there is any left: the last picture may take more than that.

        So no picture is too large for a quota, and a minute sees no more than the quota and one picture.
        """
        quota = key.terms.quota.megapixels
        if quota is None:
            return Taken()
        return await self._take(key, requests=0.0, megapixels=megapixels * WINDOW / quota, some_megapixels=True)

    async def _take(self, key: Key, *, requests: float, megapixels: float, some_megapixels: bool) -> Taken:
        """`requests` and `megapixels`: seconds by which the buckets will be full later."""
        if not key.terms.quota:
            return Taken()

        async def work(connection: AsyncConnection) -> tuple[RowMapping, bool]:
            # Made here, where the transaction has begun: a moment from before waiting for it would be in the past.
            take, ask = self._statements(key, requests, megapixels, some_megapixels=some_megapixels)
            row = (await connection.execute(take)).mappings().first()
            if row is not None:
                return row, True
            return (await connection.execute(ask)).mappings().one(), False

        row, granted = await self._database.transaction(work)
        levels, waits = [], {}
        for policy, quota in ((REQUESTS, key.terms.quota.requests), (MEGAPIXELS, key.terms.quota.megapixels)):
            if quota is not None:
                used = max(0.0, row[f"{policy}_until"] - row["now"])
                levels.append(_level(policy, quota, used))
                waits[policy] = used - WINDOW + (requests if policy == REQUESTS else _ROUNDING)
        if granted:
            return Taken(tuple(levels))
        refusing = {
            policy: wait
            for policy, wait in waits.items()
            if wait > 0 and (policy == REQUESTS if not some_megapixels else True)
        }
        return Taken(tuple(levels), tuple(refusing) or (REQUESTS,), max([*refusing.values(), _ROUNDING]))

    def _statements(
        self, key: Key, requests: float, megapixels: float, *, some_megapixels: bool
    ) -> tuple[ReturningInsert[Any], Select[Any]]:
        """One that takes and answers nothing if it may not, and one that only answers."""
        now = self._now()
        until = key_usage.c
        used_requests = _used(until.requests_until, now, WINDOW)
        used_megapixels = _used(until.megapixels_until, now, MOST_DEBT)
        allowed: ColumnElement[bool] = true()
        if requests:
            allowed = and_(allowed, used_requests + requests <= now + WINDOW + _ROUNDING)
        if some_megapixels and key.terms.quota.megapixels is not None:
            allowed = and_(allowed, used_megapixels < now + WINDOW)
        first = self._database.insert(key_usage).values(
            key_id=key.id, requests_until=now + requests, megapixels_until=now + min(megapixels, MOST_DEBT - WINDOW)
        )
        answered: list[ColumnElement[Any]] = [until.requests_until, until.megapixels_until, now.label("now")]
        if self._database.on_postgresql:
            answered.append(func.set_config("synchronous_commit", "off", True))
        statement = first.on_conflict_do_update(
            index_elements=[until.key_id],
            set_={
                "requests_until": used_requests + requests,
                "megapixels_until": used_megapixels + min(megapixels, MOST_DEBT - WINDOW),
            },
            where=allowed,
        ).returning(*answered)
        return statement, select(*answered).where(until.key_id == key.id)

    def _now(self) -> ColumnElement[float]:
        """Seconds since 1970: the server's, which all replicas share, or this process's."""
        if self._database.on_postgresql:
            return func.extract("epoch", func.clock_timestamp()).cast(Double)
        return literal(time.time(), Double)


def _used(until: ColumnElement[float], now: ColumnElement[float], most: float) -> ColumnElement[float]:
    """`until`, or now if the bucket is full by then; also if it is further away than `most`, to which no use leads: the
    clock was put back.
    """
    return case((until.between(now, now + most + 1), until), else_=now)


def _level(policy: str, quota: int, used: float) -> Level:
    """`used`: seconds until the bucket is full."""
    unit = WINDOW / quota
    left = max(0, math.floor((WINDOW - used + _ROUNDING) / unit))
    return Level(policy, quota, left, max(0.0, used - WINDOW + (left + 1) * unit))
