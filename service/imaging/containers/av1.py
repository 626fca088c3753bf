"""AV1 as AVIF files hold it: what the headers of its one still picture say, and that picture without all else.

Sections are those of the AV1 Bitstream & Decoding Process Specification.
"""

from dataclasses import dataclass

from service.errors import CorruptImage, UnsupportedFormat
from service.imaging.containers.bits import BitReader
from service.imaging.containers.hevc import Coded

SEQUENCE_HEADER, FRAME_HEADER, TILE_GROUP, FRAME = 1, 3, 4, 6
KEPT = frozenset({SEQUENCE_HEADER, FRAME_HEADER, TILE_GROUP, FRAME})
HEADER_BYTES = 128
"""No header of a still picture is longer, up to where it is read here."""

SELECT = 2
IDENTITY = 0
MAX_LEB128 = 4
SRGB = (1, 13, IDENTITY)
UNSPECIFIED = (2, 2, 2)
MAX_TILE_WIDTH, MAX_TILE_AREA, MAX_TILES_ACROSS = 4096, 4096 * 2304, 64


@dataclass(frozen=True, slots=True)
class Unit:
    """One open bitstream unit: all of it is `data[start:end]`, its payload begins at `payload`."""

    kind: int
    start: int
    payload: int
    end: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """What a sequence header says (§5.5) as far as a still picture's frame header depends on it."""

    reduced: bool
    width: int
    height: int
    width_bits: int
    height_bits: int
    bit_depth: int
    monochrome: bool
    full_chroma: bool
    cicp: tuple[int, int, int]
    frame_id_bits: int
    large_blocks: bool
    screen_content: int
    integer_motion: int
    order_bits: int
    superres: bool
    decoder_model: bool


def read_units(data: bytes) -> list[Unit]:
    """All units of `data` (§5.3). Raises CorruptImage."""
    units: list[Unit] = []
    at = 0
    while at < len(data):
        head = data[at]
        kind, extended, sized = head >> 3 & 15, head >> 2 & 1, head >> 1 & 1
        payload = at + 1 + extended
        size = len(data) - payload
        if sized:
            size = 0
            for shift in range(0, 7 * MAX_LEB128, 7):
                if payload >= len(data):
                    raise CorruptImage(cause="a unit without its size")
                byte = data[payload]
                payload += 1
                size |= (byte & 0x7F) << shift
                if byte < 0x80:  # noqa: PLR2004 - the high bit says that more follows
                    break
        end = payload + size
        if head & 0x80 or size < 0 or end > len(data):
            raise CorruptImage(cause="the AV1 units do not fit")
        units.append(Unit(kind, at, payload, end))
        at = end
    return units


def read_picture(data: bytes) -> tuple[Coded, tuple[int, int, int]]:
    """What the one still picture in `data` is, and its color code points (primaries, transfer, matrix).

    Raises CorruptImage, also if there is more than one picture, and UnsupportedFormat.
    """
    units = read_units(data)
    headers = {data[each.payload : each.end] for each in units if each.kind == SEQUENCE_HEADER}
    frames = [each for each in units if each.kind in (FRAME, FRAME_HEADER)]
    if len(headers) != 1:
        raise CorruptImage(cause=f"{len(headers)} different sequence headers")
    if len(frames) != 1:
        raise UnsupportedFormat("Of AVIF, pictures in one layer are read.")
    sequence = _read_sequence(BitReader(headers.pop()[:HEADER_BYTES]))
    quantizer = _base_quantizer(BitReader(data[frames[0].payload : frames[0].end][:HEADER_BYTES]), sequence)
    # Without a change of color space and quantization nothing is lost; monochrome has no color to be changed.
    exact = sequence.monochrome or sequence.cicp[2] == IDENTITY
    coded = Coded(
        width=sequence.width,
        height=sequence.height,
        bit_depth=sequence.bit_depth,
        monochrome=sequence.monochrome,
        full_chroma=sequence.full_chroma,
        lossless=exact and quantizer == 0,
    )
    return coded, sequence.cicp


def only_picture(data: bytes) -> bytes:
    """`data` with nothing but what the picture is decoded from."""
    return b"".join(data[each.start : each.end] for each in read_units(data) if each.kind in KEPT)


def _read_sequence(bits: BitReader) -> Sequence:
    """sequence_header_obu() (§5.5.1)."""
    profile = bits.bits(3)
    bits.bits(1)
    reduced = bits.flag()
    decoder_model = False
    if reduced:
        bits.bits(5)
    else:
        decoder_model = _skip_operating_points(bits)
    width_bits, height_bits = bits.bits(4) + 1, bits.bits(4) + 1
    width, height = bits.bits(width_bits) + 1, bits.bits(height_bits) + 1
    frame_id_bits = 0
    if not reduced and bits.flag():
        delta = bits.bits(4) + 2
        frame_id_bits = bits.bits(3) + delta + 1
    large_blocks = bits.flag()
    bits.bits(2)
    screen_content, integer_motion, order_bits = SELECT, SELECT, 0
    if not reduced:
        screen_content, integer_motion, order_bits = _read_tools(bits)
    superres = bits.flag()
    bits.bits(2)
    bit_depth, monochrome, cicp, full_chroma = _read_color(bits, profile)
    return Sequence(
        reduced=reduced,
        width=width,
        height=height,
        width_bits=width_bits,
        height_bits=height_bits,
        bit_depth=bit_depth,
        monochrome=monochrome,
        full_chroma=full_chroma,
        cicp=cicp,
        frame_id_bits=frame_id_bits,
        large_blocks=large_blocks,
        screen_content=screen_content,
        integer_motion=integer_motion,
        order_bits=order_bits,
        superres=superres,
        decoder_model=decoder_model,
    )


def _skip_operating_points(bits: BitReader) -> bool:
    """Timing and operating points of a sequence header that is not reduced; whether there is a decoder model."""
    delay_bits, model = 0, False
    if bits.flag():  # timing_info
        bits.bits(64)
        if bits.flag():
            bits.exp_golomb()
        model = bits.flag()
        if model:
            delay_bits = bits.bits(5) + 1
            bits.bits(32 + 5 + 5)
    display_delay = bits.flag()
    for _ in range(bits.bits(5) + 1):
        bits.bits(12)
        if bits.bits(5) > 7:  # noqa: PLR2004 - levels above 3.3 have a tier
            bits.bits(1)
        if model and bits.flag():
            bits.bits(2 * delay_bits + 1)
        if display_delay and bits.flag():
            bits.bits(4)
    return model


def _read_tools(bits: BitReader) -> tuple[int, int, int]:
    """Screen content tools, integer motion vectors and order hint bits of a sequence header that is not reduced."""
    bits.bits(4)
    order_hint = bits.flag()
    if order_hint:
        bits.bits(2)
    screen_content = SELECT if bits.flag() else bits.bits(1)
    integer_motion = SELECT
    if screen_content and not bits.flag():
        integer_motion = bits.bits(1)
    return screen_content, integer_motion, bits.bits(3) + 1 if order_hint else 0


def _read_color(bits: BitReader, profile: int) -> tuple[int, bool, tuple[int, int, int], bool]:
    """color_config() (§5.5.2) as far as the subsampling: bit depth, monochrome, color code points, full chroma."""
    high = bits.flag()
    depth = (12 if bits.flag() else 10) if profile == 2 and high else (10 if high else 8)  # noqa: PLR2004
    monochrome = profile != 1 and bits.flag()
    cicp = (bits.bits(8), bits.bits(8), bits.bits(8)) if bits.flag() else UNSPECIFIED
    if monochrome or cicp == SRGB:
        return depth, monochrome, cicp, True
    bits.bits(1)
    full = profile == 1
    if profile == 2:  # noqa: PLR2004 - the professional profile: 4:2:2, and everything at 12 bits
        halved = bits.flag() if depth == 12 else True  # noqa: PLR2004
        full = not (halved and depth == 12 and bits.flag())  # noqa: PLR2004
    return depth, monochrome, cicp, full


def _base_quantizer(bits: BitReader, sequence: Sequence) -> int:
    """base_q_idx of the one frame (§5.9.2, §5.9.12), which must be a key frame that is shown."""
    if not sequence.reduced:
        if bits.flag() or bits.bits(2) or not bits.flag():
            raise CorruptImage(cause="no key frame that is shown")
        if sequence.decoder_model:
            raise UnsupportedFormat("Of AVIF, pictures with a decoder model are not read.")
    disable_update = bits.flag()
    screen_content = bits.flag() if sequence.screen_content == SELECT else bool(sequence.screen_content)
    if screen_content and sequence.integer_motion == SELECT:
        bits.bits(1)
    bits.bits(sequence.frame_id_bits)
    other_size = not sequence.reduced and bits.flag()
    bits.bits(sequence.order_bits)
    width, height = sequence.width, sequence.height
    if other_size:
        width, height = bits.bits(sequence.width_bits) + 1, bits.bits(sequence.height_bits) + 1
    upscaled = width
    if sequence.superres and bits.flag():
        denominator = bits.bits(3) + 9
        width = (width * 8 + denominator // 2) // denominator
    if bits.flag():
        bits.bits(32)
    if screen_content and upscaled == width:
        bits.bits(1)
    if not (sequence.reduced or disable_update):
        bits.bits(1)
    _skip_tiles(bits, width, height, sequence)
    return bits.bits(8)


def _skip_tiles(bits: BitReader, width: int, height: int, sequence: Sequence) -> None:
    """tile_info() (§5.9.15)."""
    shift = 5 if sequence.large_blocks else 4
    side = shift + 2
    across, down = ((-(-value // 8) * 2) + (1 << shift) - 1 >> shift for value in (width, height))
    widest = MAX_TILE_WIDTH >> side
    most_area = MAX_TILE_AREA >> (2 * side)
    least_across = _log2(widest, across)
    least = max(least_across, _log2(most_area, across * down))
    if bits.flag():
        columns_log2 = _increments(bits, least_across, _log2(1, min(across, MAX_TILES_ACROSS)))
        rows_log2 = _increments(bits, max(least - columns_log2, 0), _log2(1, min(down, MAX_TILES_ACROSS)))
    else:
        columns, largest = _uneven(bits, across, widest)
        area = across * down >> (least + 1) if least else across * down
        rows, _ = _uneven(bits, down, max(area // largest, 1))
        columns_log2, rows_log2 = _log2(1, columns), _log2(1, rows)
    if columns_log2 or rows_log2:
        bits.bits(columns_log2 + rows_log2 + 2)


def _log2(block: int, target: int) -> int:
    """The least k with `block` << k ≥ `target` (§7.10.2, tile_log2)."""
    k = 0
    while block << k < target:
        k += 1
    return k


def _increments(bits: BitReader, least: int, most: int) -> int:
    while least < most and bits.flag():
        least += 1
    return least


def _uneven(bits: BitReader, blocks: int, longest: int) -> tuple[int, int]:
    """How many tiles of given sizes there are along `blocks`, and the largest of them."""
    at, count, largest = 0, 0, 1
    while at < blocks:
        size = _non_symmetric(bits, min(blocks - at, longest)) + 1
        largest = max(largest, size)
        at += size
        count += 1
    return count, largest


def _non_symmetric(bits: BitReader, n: int) -> int:
    """ns(n) (§4.10.7)."""
    width = n.bit_length()
    short = (1 << width) - n
    value = bits.bits(width - 1)
    return value if value < short else (value << 1) - short + bits.bits(1)
