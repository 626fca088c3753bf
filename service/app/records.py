"""The record store, waited for, and what signs and keeps its receipts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.app.failure import StartError
from service.errors import RecordStoreUnavailable
from service.observability.logs import get_logger
from service.records.database import Database
from service.records.retention import Retention
from service.records.signing import Signer, SigningKeyError
from service.settings import Settings

logger = get_logger(__name__)

DATABASE_PATIENCE = 30.0
"""Seconds for which a start waits for a database that is still coming up."""


def connect(settings: Settings) -> Database:
    """The configured record store, not asked yet. Raises ValueError if its address is none."""
    given = settings.database
    return Database.connect(given.url.get_secret_value(), pool_size=given.pool_size, timeout=given.timeout)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The record store, its schema up to date if the settings allow, waited for while it is still coming up."""
    try:
        database = connect(settings)
    except ValueError as error:
        raise StartError(f"VEIL_DATABASE__URL cannot be used: {error}") from error
    try:
        deadline = asyncio.get_running_loop().time() + DATABASE_PATIENCE
        while True:
            try:
                if settings.database.migrate:
                    await database.migrate()
                await database.check()
                break
            except RecordStoreUnavailable as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise StartError(
                        f"The record store cannot be used: {error.cause or error.detail}\n"
                        "Check VEIL_DATABASE__URL, and run 'veil doctor' for details."
                    ) from error
                logger.warning("waiting-for-database", cause=error.cause)
                await asyncio.sleep(0.5)
        yield database
    finally:
        await database.close()


def read_signer(settings: Settings) -> Signer | None:
    """What signs receipts, None if the deployment gives no key. Raises StartError if what it gives is none."""
    if settings.signing.key is None:
        return None
    try:
        return Signer.read(settings.signing.key.get_secret_value())
    except SigningKeyError as error:
        raise StartError(f"VEIL_SIGNING__KEY cannot be used: {error}") from error


def retention_of(settings: Settings) -> Retention:
    """How long the deployment keeps records."""
    given = settings.retention
    return Retention(given.receipts_days, given.detections_days, given.audit_days)
