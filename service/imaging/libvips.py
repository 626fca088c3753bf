"""libvips as Veil has it: memory to memory, the formats that it is used for and no other, nothing kept."""

import logging

import pyvips

NAMES = ("Jpeg", "Png", "Webp", "Tiff", "Heif")
OPERATIONS = tuple(f"VipsForeign{way}{name}Buffer" for way in ("Load", "Save") for name in NAMES)

READ_OPTIONS = {"access": "sequential", "memory": True, "fail_on": "warning"}
"""Decoded whole in memory, never in a temporary file; a warning is a failure."""

STREAM_OPTIONS = {"access": "sequential", "fail_on": "warning"}
"""The same row by row, for the one loader that never needs the whole picture: that of JPEG."""


def _set_up() -> None:
    """Untrusted and unneeded loaders off, one thread, no operation cache. Warnings could quote a file: not logged."""
    logging.getLogger("pyvips").setLevel(logging.CRITICAL)
    pyvips.block_untrusted_set(True)
    pyvips.operation_block_set("VipsForeign", True)
    for name in OPERATIONS:
        pyvips.operation_block_set(name, False)
    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)
    pyvips.cache_set_max_mem(0)
    pyvips.cache_set_max_files(0)


_set_up()
