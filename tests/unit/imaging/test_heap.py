"""What a decoder freed is not the process's anymore when a large picture is searched."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.pictures import jpeg, street

DECODE = """
import re, sys
from service.imaging.codec import decode
from service.imaging.source import SourceLimits, inspect
raster = decode(inspect(open(sys.argv[1], 'rb').read(), SourceLimits(200_000_000, 65_500)))
heap = re.search(r'\\[heap\\]\\n(?:.*\\n)*?Rss: +(\\d+)', open('/proc/self/smaps').read())
print(int(heap[1]) // 1024)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library than glibc")
def test_decoding_a_large_picture_leaves_little_in_the_heap(tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    file.write_bytes(jpeg(street(16384, 2048)))
    left = subprocess.run([sys.executable, "-c", DECODE, file], check=True, capture_output=True, text=True)
    assert int(left.stdout) < 40, f"{left.stdout.strip()} MiB"
