"""API keys: made once, shown once, stored as a hash, looked up by the id that each token carries.

A token is `veil_<id>_<secret>`. The secret has 256 random bits, so a plain SHA-256 hides it: slow, salted functions
(argon2, scrypt) make guessable passwords expensive to guess, and there is nothing to guess here; on every request they
would only cost time. The prefix lets secret scanners find a token that leaked.
"""

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import RowMapping, or_, select, update
from sqlalchemy.exc import IntegrityError

from service.errors import InvalidRequest, OptionProblem, Unauthenticated
from service.records.audit import COMMAND_LINE, Action, Actor, record
from service.records.database import Database
from service.records.key import Key, Quota, Role, Terms
from service.records.tables import api_keys

__all__ = ["Key", "KeyRepository", "Quota", "Role", "Terms"]

TOKEN: Final = re.compile(r"veil_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)
SECRET_BYTES: Final = 32
MAX_NAME: Final = 100
MAX_QUOTA: Final = 1_000_000

CACHE_SECONDS: Final = 10.0
"""How long a replica trusts a key without asking again, so also how long a revoked key may still work elsewhere.

A database that is away for a moment then fails the request at its receipt, not before the picture is looked at.
"""
CACHE_KEYS: Final = 1024

KNOWN: Final = api_keys.c.role.in_([role.value for role in Role])
"""Keys whose role a newer version brought, see `migrations.serves`, are none here."""


@dataclass(frozen=True, slots=True)
class _Cached:
    key: Key
    hash: str
    until: float


class KeyRepository:
    """The keys of one database. Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: dict[str, _Cached] = {}

    async def create(
        self, name: str, role: Role, terms: Terms | None = None, *, by: Actor = COMMAND_LINE
    ) -> tuple[Key, str]:
        """A new key and its token, which nobody can read again; its making is audited.

        `terms.options` are taken as they are: `api.options` knows which make sense. Raises InvalidRequest if the name
        is taken, or anything else about it is wrong.
        """
        terms = terms or Terms()
        now = datetime.now(UTC)
        if problems := _problems(name, terms, now):
            raise InvalidRequest(problems)
        key = Key(secrets.token_hex(8), name, Role(role), now, None, terms)
        token = f"veil_{key.id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        statement = self._database.insert(api_keys).values(
            id=key.id,
            name=name,
            role=key.role.value,
            hash=_hash(token),
            created_at=now,
            expires_at=terms.expires_at,
            quota_requests=terms.quota.requests,
            quota_megapixels=terms.quota.megapixels,
            options=dict(terms.options),
            fixed=sorted(terms.fixed),
        )
        statement = statement.on_conflict_do_nothing(index_elements=[api_keys.c.id])
        try:
            await self._database.execute(statement, record(self._database, by, Action.KEY_CREATED, key.id, _facts(key)))
        except IntegrityError:
            raise InvalidRequest([OptionProblem("/name", "there is a key with this name already")]) from None
        return key, token

    async def authenticate(self, token: str) -> Key | None:
        """The valid key that `token` is of, None if there is none. Raises Unauthenticated if it has expired.

        Valid keys are remembered for CACHE_SECONDS. Unknown ones are not: each costs a look-up by primary key, and
        remembering them would let anybody fill the memory.
        """
        parts = TOKEN.fullmatch(token)
        if parts is None:
            return None
        known = self._cache.get(parts[1])
        if known is None or known.until <= time.monotonic():
            known = await self._look_up(parts[1])
        if known is None or not hmac.compare_digest(known.hash, _hash(token)):
            return None
        if known.key.expired(datetime.now(UTC)):
            # Said only to who holds the secret.
            raise Unauthenticated("This API key has expired.")
        return known.key

    async def get(self, id_or_name: str) -> Key | None:
        """The key with this id or, if there is none, with this name; None if there is neither."""
        named = select(api_keys).where(KNOWN, or_(api_keys.c.id == id_or_name, api_keys.c.name == id_or_name))
        found = sorted(map(_key, await self._database.rows(named)), key=lambda key: key.id != id_or_name)
        return found[0] if found else None

    async def list(self) -> tuple[Key, ...]:
        """All keys, revoked ones too, oldest first."""
        statement = select(api_keys).where(KNOWN).order_by(api_keys.c.created_at, api_keys.c.id)
        return tuple(_key(row) for row in await self._database.rows(statement))

    async def revoke(self, id_or_name: str, *, by: Actor = COMMAND_LINE) -> Key:
        """Ends a key for good, audited, and gives it; other replicas notice within CACHE_SECONDS.

        Raises InvalidRequest if there is no such key.
        """
        key = await self.get(id_or_name)
        if key is None:
            raise InvalidRequest([OptionProblem("/key", "there is no key with this id or name")])
        if key.revoked_at is None:
            key = replace(key, revoked_at=datetime.now(UTC))
            which = (api_keys.c.id == key.id, api_keys.c.revoked_at.is_(None))
            await self._database.execute(
                update(api_keys).where(*which).values(revoked_at=key.revoked_at),
                record(self._database, by, Action.KEY_REVOKED, key.id, {"role": key.role.value}),
            )
        self._cache.pop(key.id, None)
        return key

    async def any_active(self) -> bool:
        """Whether there is a key that is neither revoked nor expired."""
        unexpired = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > datetime.now(UTC))
        statement = select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None), unexpired).limit(1)
        return bool(await self._database.rows(statement))

    async def _look_up(self, id: str) -> _Cached | None:
        """The valid key with this id, as stored now."""
        self._cache.pop(id, None)
        # Counted from before the look-up: an answer that was long under way is that much older.
        until = time.monotonic() + CACHE_SECONDS
        statement = select(api_keys).where(KNOWN, api_keys.c.id == id, api_keys.c.revoked_at.is_(None))
        rows = await self._database.rows(statement)
        if not rows:
            return None
        while len(self._cache) >= CACHE_KEYS:
            del self._cache[next(iter(self._cache))]
        found = self._cache[id] = _Cached(_key(rows[0]), rows[0]["hash"], until)
        return found


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _key(row: RowMapping) -> Key:
    terms = Terms(
        expires_at=row["expires_at"],
        quota=Quota(row["quota_requests"], row["quota_megapixels"]),
        options=dict(row["options"] or {}),
        fixed=frozenset(row["fixed"] or ()),
    )
    return Key(row["id"], row["name"], Role(row["role"]), row["created_at"], row["revoked_at"], terms)


def _facts(key: Key) -> dict[str, Any]:
    """What the audit says of a new key: its terms, by names and numbers."""
    terms = key.terms
    return {
        "role": key.role.value,
        "expires_at": None if terms.expires_at is None else terms.expires_at.isoformat(),
        "quota_requests": terms.quota.requests,
        "quota_megapixels": terms.quota.megapixels,
        "options": sorted(terms.options),
        "fixed": sorted(terms.fixed),
    }


def _problems(name: str, terms: Terms, now: datetime) -> list[OptionProblem]:
    problems = []
    if not (0 < len(name) <= MAX_NAME and name.isprintable()):
        problems.append(OptionProblem("/name", f"give 1 to {MAX_NAME} printable characters"))
    if terms.expires_at is not None and terms.expires_at <= now:
        problems.append(OptionProblem("/expires", "give a time in the future"))
    for field, value in (("requests", terms.quota.requests), ("megapixels", terms.quota.megapixels)):
        if value is not None and not 1 <= value <= MAX_QUOTA:
            problems.append(OptionProblem(f"/quota_{field}", f"give 1 to {MAX_QUOTA} a minute"))
    return problems
