"""The memory for pictures, from control groups as a container sees them."""

import os
from pathlib import Path

import pytest

from service.capacity import LEAST, MIB, PROCESS, SHARED, THREAD, USABLE, container_limit, picture_memory

GIB = 1024 * MIB
MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_containers_limit_counts(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    limit = MACHINE * 3 // 4
    file.write_text(f"{limit}\n", encoding="ascii")
    assert container_limit(tmp_path) == limit
    assert picture_memory(2, tmp_path) == max(LEAST, int(limit * USABLE) - PROCESS - 2 * THREAD)
    file.write_text(f"{256 * MIB}\n", encoding="ascii")
    assert picture_memory(2, tmp_path) == LEAST


@pytest.mark.parametrize("text", [None, "max", str(1 << 62)])
def test_without_a_limit_half_the_machine_counts(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "memory.max").write_text(f"{text}\n", encoding="ascii")
    assert picture_memory(1, tmp_path) == max(LEAST, int(MACHINE * SHARED) - PROCESS - THREAD)
