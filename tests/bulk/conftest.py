from collections.abc import Iterator

import pytest

from tests.bulk.trees_of_pictures import STARTED


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    while STARTED:
        with STARTED.pop() as process:
            process.kill()
