"""The records' tests on SQLite; `tests/postgres/conftest.py` gives the same fixtures on PostgreSQL."""

from pathlib import Path

import pytest

from tests.unit.records.stores import database, keys, receipts

__all__ = ["database", "keys", "receipts"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'records' / 'veil.db'}"
