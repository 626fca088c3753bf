"""Fixtures for every test that needs PostgreSQL: one server for the session, one database for each who asks."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.postgres.server import PostgresProcess


@pytest.fixture(scope="session")
def postgres_process() -> Iterator[PostgresProcess]:
    """A running server. A test that stops or kills it starts it again."""
    with PostgresProcess() as server:
        yield server


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def new_postgres_url(postgres_process: PostgresProcess, _numbers: Iterator[int]) -> Callable[[], str]:
    """Makes a new, empty database and gives its URL."""
    return lambda: postgres_process.create_database(f"test_{next(_numbers)}")
