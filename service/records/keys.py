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
from enum import StrEnum
from typing import Final

from sqlalchemy import RowMapping, or_, select, update
from sqlalchemy.exc import IntegrityError

from service.errors import InvalidRequest, OptionProblem
from service.records.database import Database
from service.records.tables import api_keys

TOKEN: Final = re.compile(r"veil_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)
SECRET_BYTES: Final = 32
MAX_NAME: Final = 100

CACHE_SECONDS: Final = 10.0
"""How long a replica trusts a key without asking again, so also how long a revoked key may still work elsewhere.

A database that is away for a moment then fails the request at its receipt, not before the picture is looked at.
"""
CACHE_KEYS: Final = 1024


class Role(StrEnum):
    """What a key may do; `api.auth` has the table."""

    ANONYMIZE = "anonymize"
    """Send pictures, and read the receipts of its own."""
    READ = "read"
    """Read all receipts; send no pictures."""
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret; `revoked_at` is None while it is valid."""

    id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None


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

    async def create(self, name: str, role: Role) -> tuple[Key, str]:
        """A new key and its token, which nobody can read again. Raises InvalidRequest if the name is taken or wrong."""
        if not (0 < len(name) <= MAX_NAME and name.isprintable()):
            raise InvalidRequest([OptionProblem("/name", f"give 1 to {MAX_NAME} printable characters")])
        key = Key(secrets.token_hex(8), name, Role(role), datetime.now(UTC), None)
        token = f"veil_{key.id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        statement = self._database.insert(api_keys).values(
            id=key.id, name=name, role=key.role.value, hash=_hash(token), created_at=key.created_at
        )
        statement = statement.on_conflict_do_nothing(index_elements=[api_keys.c.id])
        try:
            await self._database.execute(statement)
        except IntegrityError:
            raise InvalidRequest([OptionProblem("/name", "there is a key with this name already")]) from None
        return key, token

    async def authenticate(self, token: str) -> Key | None:
        """The valid key that `token` is of, None if there is none.

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
        return known.key

    async def list(self) -> tuple[Key, ...]:
        """All keys, revoked ones too, oldest first."""
        statement = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        return tuple(_key(row) for row in await self._database.rows(statement))

    async def revoke(self, id_or_name: str) -> Key:
        """Ends a key for good, and gives it; other replicas notice within CACHE_SECONDS.

        Raises InvalidRequest if there is no such key.
        """
        named = select(api_keys).where(or_(api_keys.c.id == id_or_name, api_keys.c.name == id_or_name))
        found = sorted(map(_key, await self._database.rows(named)), key=lambda key: key.id != id_or_name)
        if not found:
            raise InvalidRequest([OptionProblem("/key", "there is no key with this id or name")])
        key = found[0]
        if key.revoked_at is None:
            key = replace(key, revoked_at=datetime.now(UTC))
            which = (api_keys.c.id == key.id, api_keys.c.revoked_at.is_(None))
            await self._database.execute(update(api_keys).where(*which).values(revoked_at=key.revoked_at))
        self._cache.pop(key.id, None)
        return key

    async def any_active(self) -> bool:
        """Whether there is a key that is not revoked."""
        statement = select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None)).limit(1)
        return bool(await self._database.rows(statement))

    async def _look_up(self, id: str) -> _Cached | None:
        """The valid key with this id, as stored now."""
        self._cache.pop(id, None)
        # Counted from before the look-up: an answer that was long under way is that much older.
        until = time.monotonic() + CACHE_SECONDS
        statement = select(api_keys).where(api_keys.c.id == id, api_keys.c.revoked_at.is_(None))
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
    return Key(row["id"], row["name"], Role(row["role"]), row["created_at"], row["revoked_at"])
