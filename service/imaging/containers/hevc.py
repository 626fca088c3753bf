"""HEVC (ITU-T H.265) as HEIC files hold it: what a picture's parameter sets say, and its slices without all else."""

from dataclasses import dataclass

from service.errors import CorruptImage, UnsupportedFormat
from service.imaging.containers.bits import BitReader
from service.imaging.containers.isobmff import Reader

IRAP = range(16, 22)
"""NAL unit types of pictures that stand alone (IDR, CRA, BLA); a still picture is one of these (Table 7-1)."""

OTHER_SLICES = range(16)
PARAMETER_SETS = (32, 33, 34)
SPS = 33
LONGEST_SPS = 4096
PROFILE_BITS, LEVEL_BITS = 88, 8
MAX_ARRAYS, MAX_UNITS = 16, 64
LUMA_ONLY, HALF_CHROMA, FULL_CHROMA = 0, 1, 3
"""chroma_format_idc: 4:0:0, 4:2:0, 4:4:4."""


@dataclass(frozen=True, slots=True)
class Coded:
    """What the decoder will make: its own size, bits per sample, how many channels, and how fine the color is."""

    width: int
    height: int
    bit_depth: int
    monochrome: bool
    full_chroma: bool
    lossless: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """The payload of hvcC (ISO/IEC 14496-15 §8.3.3.1): bytes before each NAL unit's length, and the parameter sets."""

    length_size: int
    coded: Coded


def read_configuration(payload: bytes) -> Configuration:
    """What an hvcC box says; its parameter sets must agree on one size. Raises CorruptImage."""
    reader = Reader(payload, 0, len(payload))
    length_size = (reader.take(22)[21] & 3) + 1
    sets: set[Coded] = set()
    units = 0
    for _ in range(reader.number(1)):
        kind = reader.number(1) & 0x3F
        for _ in range(reader.number(2)):
            units += 1
            unit = reader.take(reader.number(2))
            if kind not in PARAMETER_SETS:
                continue
            if kind != _kind(unit) or units > MAX_UNITS:
                raise CorruptImage(cause="odd parameter sets")
            if kind == SPS:
                sets.add(_read_sps(unit))
    if len(sets) != 1:
        raise CorruptImage(cause=f"{len(sets)} different sequence parameter sets")
    return Configuration(length_size, sets.pop())


def only_slices(data: bytes, length_size: int) -> bytes:
    """The slices of the one still picture in `data` (NAL units with their lengths); all other units are left out.

    Raises CorruptImage if there are more pictures than one, or one that does not stand alone.
    """
    reader = Reader(data, 0, len(data))
    kept: list[bytes] = []
    pictures = 0
    while reader.at < reader.end:
        start = reader.at
        unit = reader.take(reader.number(length_size))
        kind = _kind(unit)
        if kind in OTHER_SLICES:
            raise CorruptImage(cause="a picture that needs others")
        if kind in IRAP:
            pictures += unit[2:3] >= b"\x80"  # first_slice_segment_in_pic_flag
            kept.append(data[start : reader.at])
    if pictures != 1:
        raise CorruptImage(cause=f"{pictures} coded pictures in one")
    return b"".join(kept)


def _kind(unit: bytes) -> int:
    """nal_unit_type."""
    return unit[0] >> 1 & 0x3F if unit else -1


def _read_sps(unit: bytes) -> Coded:
    """A sequence parameter set as far as its bit depths (§7.3.2.2.1)."""
    bits = BitReader(unit[2:LONGEST_SPS].replace(b"\0\0\3", b"\0\0"))
    bits.bits(4)
    sub_layers = bits.bits(3)
    bits.bits(1 + PROFILE_BITS + LEVEL_BITS)
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    bits.bits(2 * (8 - sub_layers) if sub_layers else 0)
    for profile, level in present:
        bits.bits(PROFILE_BITS * profile + LEVEL_BITS * level)
    bits.exp_golomb()
    chroma = bits.exp_golomb()
    if chroma > FULL_CHROMA or (chroma == FULL_CHROMA and bits.flag()):
        raise UnsupportedFormat("Of HEIC, pictures in separate color planes are not read.")
    width, height = bits.exp_golomb(), bits.exp_golomb()
    if bits.flag():
        for _ in range(4):
            bits.exp_golomb()
    luma, color = 8 + bits.exp_golomb(), 8 + bits.exp_golomb()
    if luma not in (8, 10, 12) or (chroma != LUMA_ONLY and color != luma):
        raise UnsupportedFormat("Of HEIC, pictures with 8, 10 or 12 bits a sample are read.")
    return Coded(width, height, luma, chroma == LUMA_ONLY, chroma != HALF_CHROMA)
