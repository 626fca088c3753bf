"""Who did what when: append-only, which triggers in the database hold (`migrations.guards_0003`).

An entry says who (an API key, whoever an open deployment lets in, the command line, the service itself), the action,
the id of what it was done to, and counts. Never a file name, a reference of a caller, an address or a name of a person.

Pictures have no entry of their own: the receipt, committed before a picture leaves, says who sent it and when. `page`
shows both in one order, so nothing is written twice and no picture waits for a second commit.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CompoundSelect,
    Insert,
    RowMapping,
    Select,
    String,
    case,
    cast,
    false,
    literal,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql import ColumnElement
from uuid_utils.compat import uuid7

from service.records.cursor import Position
from service.records.database import Database
from service.records.tables import api_keys, receipts
from service.records.tables import audit as entries

DEFAULT_LIMIT: Final = 100


class ActorKind(StrEnum):
    KEY = "key"
    ANYBODY = "anybody"
    """A caller without a key, where the deployment needs none."""
    COMMAND_LINE = "command line"
    SERVICE = "service"
    """The service by itself, e.g. its schedule."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `key_id` is there for keys only; `key_name` is the name that the key has, filled in when stored."""

    kind: ActorKind
    key_id: str | None = None
    key_name: str | None = None

    @classmethod
    def caller(cls, key_id: str | None) -> "Actor":
        """The caller of a request: a key, or whoever an open deployment lets in."""
        return cls(ActorKind.ANYBODY) if key_id is None else cls(ActorKind.KEY, key_id)


COMMAND_LINE: Final = Actor(ActorKind.COMMAND_LINE)
SERVICE: Final = Actor(ActorKind.SERVICE)


class Action(StrEnum):
    """What can have been done. The first four are receipts, the others entries of the table."""

    ANONYMIZED = "anonymized"
    DETECTED = "detected"
    REJECTED = "rejected"
    FAILED = "failed"
    RECEIPT_READ = "receipt-read"
    RECEIPTS_LISTED = "receipts-listed"
    RECEIPTS_EXPORT_BEGUN = "receipts-export-begun"
    RECEIPTS_EXPORTED = "receipts-exported"
    RECEIPTS_REPORTED = "receipts-reported"
    RECEIPTS_ERASED = "receipts-erased"
    AUDIT_READ = "audit-read"
    PURGED = "purged"
    RETENTION_CHANGED = "retention-changed"
    SIGNING_KEY_REGISTERED = "signing-key-registered"
    SIGNING_KEY_REVOKED = "signing-key-revoked"
    KEY_CREATED = "key-created"
    KEY_CHANGED = "key-changed"
    KEY_REVOKED = "key-revoked"
    SAMPLE_DRAWN = "sample-drawn"
    VERDICT_RECORDED = "verdict-recorded"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done; `subject` is the id of what it was done to, `facts` are counts and closed words."""

    id: UUID
    at: datetime
    actor: Actor
    action: Action
    subject: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, newest first; `next_cursor` leads to older ones, None if there are none."""

    entries: tuple[Entry, ...]
    next_cursor: str | None


def record(
    database: Database, actor: Actor, action: Action, subject: str | None = None, facts: dict[str, Any] | None = None
) -> Insert:
    """The statement that stores an entry, to be sent with what it is about: `database.execute(change, record(…))`.

    Repeatable: the entry has its id already.
    """
    name: Any = actor.key_name
    if actor.key_id is not None and name is None:
        name = select(api_keys.c.name).where(api_keys.c.id == actor.key_id).scalar_subquery()
    values = {
        "id": uuid7(),
        "at": datetime.now(UTC),
        "actor": actor.kind.value,
        "key_id": actor.key_id,
        "key_name": name,
        "action": action.value,
        "subject": subject,
        "facts": facts or {},
    }
    return database.insert(entries).values(values).on_conflict_do_nothing(index_elements=[entries.c.id])


class AuditLog:
    """The audit of one database. Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, actor: Actor, action: Action, subject: str | None = None, facts: dict[str, Any] | None = None
    ) -> None:
        """Returns when the entry is committed to disk."""
        await self._database.execute(record(self._database, actor, action, subject, facts))

    async def page(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        key: str | None = None,
        action: Action | None = None,
        subject: str | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> AuditPage:
        """Up to `limit` entries, receipts among them, that fulfill each condition; at or after `since`, before `until`.

        Raises InvalidRequest if `cursor` is none that a page gave.
        """
        after = None if cursor is None else Position.read(cursor)
        parts = []
        for of_receipts in (False, True):
            if action is not None and (action in RECEIPTS) != of_receipts:
                continue
            columns = (_receipts() if of_receipts else _entries()).subquery().c
            conditions: list[ColumnElement[bool]] = []
            if since is not None:
                conditions.append(columns.at >= since)
            if until is not None:
                conditions.append(columns.at < until)
            if subject is not None:
                conditions.append(_is_receipt(columns.id, subject) if of_receipts else columns.subject == subject)
            if key is not None:
                conditions.append(columns.key_id == key)
            if action is not None:
                conditions.append(columns.action == action.value)
            if after is not None:
                place = tuple_(literal(after.received_at, columns.at.type), literal(after.id, columns.id.type))
                conditions.append(tuple_(columns.at, columns.id) < place)
            newest = select(*columns.values()).where(*conditions).order_by(columns.at.desc(), columns.id.desc())
            parts.append(newest.limit(limit + 1).subquery())
        both: CompoundSelect[Any] = union_all(*(select(*part.c.values()) for part in parts))
        ordered = both.order_by(both.selected_columns.at.desc(), both.selected_columns.id.desc()).limit(limit + 1)
        rows = await self._database.rows(ordered)
        page = tuple(_entry(row) for row in rows[:limit])
        return AuditPage(page, Position(page[-1].at, page[-1].id).text() if len(rows) > limit else None)


def _entries() -> Select[Any]:
    return select(*(entries.c[name] for name in COLUMNS))


def _receipts() -> Select[Any]:
    """The receipts as entries: a picture that left has an output, a search without a picture has none."""
    done = case(
        (receipts.c.outcome != "ok", receipts.c.outcome),
        (receipts.c.output_sha256.is_(None), Action.DETECTED.value),
        else_=Action.ANONYMIZED.value,
    )
    return select(
        receipts.c.id,
        receipts.c.received_at.label("at"),
        case((receipts.c.caller.is_(None), ActorKind.ANYBODY.value), else_=ActorKind.KEY.value).label("actor"),
        receipts.c.caller.label("key_id"),
        api_keys.c.name.label("key_name"),
        cast(done, String(48)).label("action"),
        cast(null(), String(64)).label("subject"),
        receipts.c.counts.label("facts"),
    ).select_from(receipts.outerjoin(api_keys, api_keys.c.id == receipts.c.caller))


def _is_receipt(column: ColumnElement[UUID], subject: str) -> ColumnElement[bool]:
    try:
        return column == UUID(subject)
    except ValueError:
        return false()


RECEIPTS: Final = (Action.ANONYMIZED, Action.DETECTED, Action.REJECTED, Action.FAILED)
"""Actions whose record is the receipt."""

COLUMNS: Final = ("id", "at", "actor", "key_id", "key_name", "action", "subject", "facts")


def _entry(row: RowMapping) -> Entry:
    action = Action(row["action"])
    of_receipt = action in RECEIPTS
    return Entry(
        id=row["id"],
        at=row["at"],
        actor=Actor(ActorKind(row["actor"]), row["key_id"], row["key_name"]),
        action=action,
        subject=str(row["id"]) if of_receipt else row["subject"],
        facts={"objects": row["facts"]} if of_receipt else row["facts"],
    )
