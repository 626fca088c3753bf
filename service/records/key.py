"""What an API key is: whose it is, what it may do, until when, how much of it, and which options its requests have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a key may do; `api.auth` has the table."""

    ANONYMIZE = "anonymize"
    """Send pictures, and read the receipts of its own."""
    READ = "read"
    """Read all receipts; send no pictures."""
    REVIEW = "review"
    """Read all receipts, and record what a review of their pictures found; send no pictures."""
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a key may use in a minute: requests of any kind, and megapixels of pictures. None: as much as it likes."""

    requests: int | None = None
    megapixels: int | None = None

    def __bool__(self) -> bool:
        return self.requests is not None or self.megapixels is not None


@dataclass(frozen=True, slots=True)
class Terms:
    """The conditions under which a key works.

    `options`: options of the API, by name, that its requests have where they name none themselves. `fixed`: options
    that its requests may not name, so that the key's value, or the deployment's, holds. A name without a class
    (`obscure`) fixes the option for every class (`obscure.plate`), and the other way round.
    """

    expires_at: datetime | None = None
    quota: Quota = Quota()
    options: Mapping[str, str] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()

    def fixes(self, option: str) -> bool:
        """Whether a request of the key may not name `option`."""
        base, _, of = option.partition(".")
        return any(base == name and (not of or not each or of == each) for name, _, each in map(_parts, self.fixed))


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret; `revoked_at` is None while it is valid."""

    id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None
    terms: Terms = Terms()

    def active(self, now: datetime) -> bool:
        """Whether it lets somebody in at `now`."""
        return self.revoked_at is None and not self.expired(now)

    def expired(self, now: datetime) -> bool:
        return self.terms.expires_at is not None and self.terms.expires_at <= now


def _parts(option: str) -> tuple[str, str, str]:
    return option.partition(".")
