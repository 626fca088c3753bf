"""Fixtures that any test may ask for; each starts its real part once for the session."""

import functools
from pathlib import Path

import httpx
import pytest

pytest_plugins = ["tests.postgres.fixtures", "tests.triton.fixtures"]

CERTIFICATES = httpx.create_ssl_context()
"""Read once: each call of `httpx.get` and its like makes a client, which else spends 50 ms on reading them."""

for method in ("get", "post", "put", "patch", "delete", "head", "options", "request", "stream"):
    setattr(httpx, method, functools.partial(getattr(httpx, method), verify=CERTIFICATES))

LONGEST = (
    "isolation/test_isolated_service.py",
    "e2e/test_records_commands.py",
    "e2e/test_memory.py",
    "triton/test_triton_swap.py",
    "bulk/test_trees.py",
    "e2e/test_load_and_leaving.py",
    "faults/test_played_faults.py",
)
"""Files that take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, then the others with slow tests: none begins when the others are done."""
    longest = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: longest.get(item.path, len(longest) + (item.path not in slow)))
