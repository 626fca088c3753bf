"""Every operation of the OpenAPI document, with requests that are generated from it: `benchmarks.openapi`, with few."""

from collections.abc import Iterator

import pytest

from benchmarks.openapi import Target, examine, target
from service.api.application import document
from tests.postgres.server import PostgresProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
OPERATIONS = [f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item]
EXAMPLES = 8


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory, postgres_process: PostgresProcess) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("openapi"), postgres_process.create_database("openapi")) as running:
        yield running


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_the_document_says(examined: Target, label: str) -> None:
    statuses = examine(examined, examined.operations[label], EXAMPLES)
    assert statuses
    assert max(statuses) < 500


def test_nothing_was_unexpected_to_the_service(examined: Target) -> None:
    assert "Traceback" not in examined.service.text()
