"""What the tests of the records share, whichever database the fixture `url` names."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from service.records.database import Database
from service.records.keys import KeyRepository
from service.records.receipt import (
    DetectionFacts,
    InputFacts,
    ModelFacts,
    Outcome,
    OutputFacts,
    Receipt,
    ResidualFacts,
    ResidualOutcome,
    Rewrite,
)
from service.records.repository import ReceiptRepository

MOMENT = datetime(2026, 3, 29, 1, 59, 59, 999_999, UTC)
TIMEOUT = 5.0


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """Migrated and closed in the end."""
    database = Database.connect(url, pool_size=8, timeout=TIMEOUT)
    try:
        await database.migrate()
        yield database
    finally:
        await database.close()


@pytest.fixture
def receipts(database: Database) -> ReceiptRepository:
    return ReceiptRepository(database)


@pytest.fixture
def keys(database: Database) -> KeyRepository:
    return KeyRepository(database)


def minimal(**fields: Any) -> Receipt:
    """A receipt with nothing but what must be there, or with `fields`."""
    given = {"id": uuid7(), "received_at": MOMENT, "finished_at": MOMENT, "outcome": Outcome.FAILED}
    return Receipt(**{**given, "service_version": "0.1.0", **fields})


def full() -> Receipt:
    """A receipt with a telling value in every field."""
    return minimal(
        outcome=Outcome.OK,
        finished_at=datetime(2026, 3, 29, 2, 0, 0, 1, UTC),
        caller="00ff00ff00ff00ff",
        source_ref="Straße/7 – 北 'quoted' %s",
        problem="not-really",
        input=InputFacts("jpeg", 65_500, 2_290, 5_000_000_000),
        output=OutputFacts("png", 4_999_999_999, "ab" * 32, Rewrite.PATCH),
        policy={"classes": [{"name": "face", "threshold": 0.1, "on": True}], "exclude": [], "none": None, "ü": 1e-7},
        policy_digest="cd" * 32,
        models=(ModelFacts("face", "1", "ef" * 32), ModelFacts("plate", "12", "01" * 32)),
        engine="onnxruntime",
        tiles=117,
        counts={"face": 3, "plate": 0},
        detections=(
            DetectionFacts("face", 0.9321, (0.1, 2.0, 30.3, 4000.7), "face/1"),
            DetectionFacts("plate", 1.0, (-1.5, 0.0, 1e-7, 123456.7), "plate/12"),
        ),
        residual=ResidualFacts(2, ResidualOutcome.HIDDEN),
        timings_ms={"decode": 12.345, "detect": 0.001, "wait": 0.0},
        detections_digest="23" * 32,
        signature="header..value",
    )
