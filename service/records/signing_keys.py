"""The public keys that receipts were ever signed with: kept for as long as the database, so old receipts stay provable.

A replica registers its key when it starts, so a rotation is a new secret file and a restart. Private keys are never
here.
"""

from datetime import UTC, datetime

from sqlalchemy import RowMapping, select, update

from service.errors import InvalidRequest, OptionProblem
from service.records.audit import SERVICE, Action, Actor, record
from service.records.database import Database
from service.records.signing import PublicKey, unb64
from service.records.tables import signing_keys


class SigningKeyRepository:
    """The keys of one database. Every method raises RecordStoreUnavailable if the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, key: PublicKey) -> None:
        """Makes `key` known, once: an entry of the audit says when it was first used."""
        rows = await self._database.rows(select(signing_keys.c.kid).where(signing_keys.c.kid == key.kid))
        if rows:
            return
        statement = self._database.insert(signing_keys).values(
            kid=key.kid, public=key.x, registered_at=datetime.now(UTC)
        )
        # Replicas that start together each leave an entry; there is one row.
        await self._database.execute(
            statement.on_conflict_do_nothing(index_elements=[signing_keys.c.kid]),
            record(self._database, SERVICE, Action.SIGNING_KEY_REGISTERED, key.kid),
        )

    async def list(self) -> list[PublicKey]:
        """Every key, the newest first."""
        statement = select(signing_keys).order_by(signing_keys.c.registered_at.desc(), signing_keys.c.kid)
        return [_key(row) for row in await self._database.rows(statement)]

    async def revoke(self, kid: str, actor: Actor) -> PublicKey:
        """Says for good that `kid` is not to be trusted. Raises InvalidRequest if there is no such key."""
        found = [key for key in await self.list() if key.kid == kid]
        if not found:
            raise InvalidRequest([OptionProblem("/kid", "there is no signing key with this id")])
        if found[0].revoked_at is None:
            which = (signing_keys.c.kid == kid, signing_keys.c.revoked_at.is_(None))
            await self._database.execute(
                update(signing_keys).where(*which).values(revoked_at=datetime.now(UTC)),
                record(self._database, actor, Action.SIGNING_KEY_REVOKED, kid),
            )
        return next(key for key in await self.list() if key.kid == kid)


def _key(row: RowMapping) -> PublicKey:
    return PublicKey(unb64(row["public"]), row["registered_at"], row["revoked_at"])
