"""The faults of `benchmarks.faults`, played for seconds: pictures out are receipts stored, none is bare, all recover.

Those of tests/e2e/test_faults.py are left out.
"""

import pytest

from benchmarks.faults.play import play
from benchmarks.faults.scenarios import SCENARIOS, reason_not

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
MOST_SECONDS = 3.0
"""To recover, on a machine that runs other tests; `python -m benchmarks.faults` holds all to one second."""


ELSEWHERE = {"tritonserver killed", "PostgreSQL killed", "disk of SQLite full"}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in ELSEWHERE])
def test_a_fault_under_load(name: str) -> None:
    reason = reason_not(name)
    if reason is not None:
        pytest.skip(reason)
    account = play(name, before=0.5, broken=2.0, after=1.0)
    assert account.wrong(most_seconds=MOST_SECONDS) == [], account
    assert account.failures or account.serves, "it broke nothing"
