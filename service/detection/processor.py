"""Whether this processor multiplies bytes as fast as detectors in 8 bits need it to be worth it."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
VNNI = frozenset({"avx512_vnni", "avx_vnni"})
"""Linux's names of the instructions that multiply and add bytes without losing any of the sum. Without them ONNX
Runtime's kernels for x86 take others that saturate, and a detector in 8 bits would find other things."""


def multiplies_bytes(cpuinfo: Path = CPUINFO) -> bool:
    """Whether every core has VNNI. False where it cannot be told: other systems, other architectures."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    cores = [set(line.partition(":")[2].split()) for line in text.splitlines() if line.startswith("flags")]
    return bool(cores) and all(flags & VNNI for flags in cores)
