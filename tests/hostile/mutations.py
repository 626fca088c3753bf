"""Damage to files: each mutation is small, so that it gets past the first check, and comes from a seed."""

import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np

Random = np.random.Generator
Mutation = Callable[[Random, bytearray, Sequence[bytes]], bytearray]

REPAIRS = 0.7
HEADER = 512
"""Most of what a parser believes is written at a file's beginning."""

LIES = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)


def place(random: Random, data: bytearray, width: int = 1) -> int:
    """An offset at which `width` bytes are: twice out of three times near the beginning."""
    end = max(1, len(data) - width + 1)
    if random.random() < 0.67:
        end = min(end, HEADER)
    return int(random.integers(0, end))


def flip_bits(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    for _ in range(int(random.integers(1, 9))):
        data[place(random, data)] ^= 1 << int(random.integers(0, 8))
    return data


def set_bytes(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    for _ in range(int(random.integers(1, 5))):
        data[place(random, data)] = int(random.choice([0, 1, 0x7F, 0x80, 0xD8, 0xD9, 0xDA, 0xFE, 0xFF]))
    return data


def lie_about_a_length(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    """A 16- or 32-bit number is replaced by one that breaks sums."""
    code = str(random.choice(["<H", ">H", "<I", ">I"]))
    size = struct.calcsize(code)
    if len(data) >= size:
        at = place(random, data, size)
        struct.pack_into(code, data, at, int(random.choice(LIES)) % (1 << (8 * size)))
    return data


def nudge_a_number(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    """A 16- or 32-bit number is off by a little."""
    code = str(random.choice(["<H", ">H", "<I", ">I"]))
    size = struct.calcsize(code)
    if len(data) >= size:
        at = place(random, data, size)
        (value,) = struct.unpack_from(code, data, at)
        struct.pack_into(code, data, at, (value + int(random.integers(-4, 5))) % (1 << (8 * size)))
    return data


def cut_the_end(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    return data[: int(random.integers(0, len(data) + 1))]


def take_out(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    at = place(random, data)
    del data[at : at + int(random.integers(1, 65))]
    return data


def put_in(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    at = place(random, data)
    data[at:at] = random.bytes(int(random.integers(1, 65)))
    return data


def swap(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    """Two neighboring pieces change places, as chunks in the wrong order do."""
    a, b, c = sorted(place(random, data) for _ in range(3))
    data[a:c] = data[b:c] + data[a:b]
    return data


def repeat(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    a, b = sorted(place(random, data) for _ in range(2))
    data[b:b] = data[a:b] * int(random.integers(1, 20))
    return data


def graft(random: Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    """A piece of another file, of any format, in the middle of this one."""
    other = others[int(random.integers(0, len(others)))]
    a, b = sorted(int(v) for v in random.integers(0, len(other) + 1, 2))
    at = place(random, data)
    data[at : at + (b - a) * int(random.integers(0, 2))] = other[a:b]
    return data


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    set_bytes,
    lie_about_a_length,
    nudge_a_number,
    cut_the_end,
    take_out,
    put_in,
    swap,
    repeat,
    graft,
)


def repaired(data: bytes) -> bytes:
    """A PNG with the checksums that its damaged chunks ought to have, so that more than the checksum is tested."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 8 + struct.unpack_from(">I", data, at)[0]
        if end + 4 > len(data):
            break
        parts += [data[at:end], struct.pack(">I", zlib.crc32(data[at + 4 : end]))]
        at = end + 4
    return b"".join((*parts, data[at:]))


def mutated(data: bytes, seed: int, others: Sequence[bytes]) -> bytes:
    """`data` after one to three mutations; equal arguments give equal bytes."""
    random = np.random.default_rng(seed)
    damaged = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        if damaged:
            damaged = MUTATIONS[int(random.integers(0, len(MUTATIONS)))](random, damaged, others)
    return repaired(bytes(damaged)) if random.random() < REPAIRS else bytes(damaged)
