"""How much memory pictures may take together: what the machine or the container has, less what the process needs."""

import os
from pathlib import Path

MIB = 1024 * 1024

PROCESS = 320 * MIB
"""What the service takes before any picture: Python, libraries, both models."""

THREAD = 96 * MIB
"""What a thread of the embedded engine needs to compute a tile."""

USABLE = 0.9
"""Share of a container's limit that is counted on; of a machine without one, which others use as well, `SHARED`."""

SHARED = 0.5

LEAST = 64 * MIB

CGROUPS = Path("/sys/fs/cgroup")


def picture_memory(threads: int, cgroups: Path = CGROUPS) -> int:
    """Bytes for all pictures that are worked on at a time, beside `threads` inference threads; at least `LEAST`."""
    limit, machine = container_limit(cgroups), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    whole = int(limit * USABLE) if limit is not None and limit < machine else int(machine * SHARED)
    return max(LEAST, whole - PROCESS - threads * THREAD)


def container_limit(cgroups: Path = CGROUPS) -> int | None:
    """The memory limit of the control group that this process is in, in bytes; None if there is none.

    As a container sees its own group: version 2 (memory.max) or 1 (memory.limit_in_bytes).
    """
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (cgroups / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        return int(text) if text.isdigit() else None
    return None
