"""The records' tests on PostgreSQL: the same bodies, the fixture `url` names a new database each time."""

from collections.abc import Callable

import pytest

from tests.unit.records.stores import database, keys, receipts

__all__ = ["database", "keys", "receipts"]


@pytest.fixture
def url(new_postgres_url: Callable[[], str]) -> str:
    return new_postgres_url()
