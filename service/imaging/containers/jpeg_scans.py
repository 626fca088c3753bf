"""The coded picture of a progressive JPEG as it lies in its file, if nothing but the picture can be in it.

Scans (ITU-T T.81 §G.1) may code a coefficient twice, and what came first is seen by nobody: a file in which that is so
is to be coded anew. Bytes behind the data of a scan make a decoder warn, which has refused the file before.
"""

from collections.abc import Sequence

from service.imaging.containers.jpeg import ADOBE_SIZE, APP14, DHT, DQT, DRI, SOS, Segment, read_segments

PROGRESSIVE_HUFFMAN = 0xC2


def as_coded(data: bytes, *, adobe: bool) -> bytes | None:
    """`data`, a progressive JPEG that was decoded without a warning, without the segments that no decoder needs.

    With Adobe's, if `adobe`. None if something in it may have been replaced by what follows, or if it has other
    segments than encoders write: then only the decoded coefficients are sure to be the picture.
    """
    segments, _ = read_segments(data)
    kept = [each for each in segments if each.marker in (PROGRESSIVE_HUFFMAN, DQT, DHT, DRI, SOS)]
    adobes = [each for each in segments if each.marker == APP14] if adobe else []
    single = [sum(each.marker == marker for each in kept) for marker in (PROGRESSIVE_HUFFMAN, DRI)]
    plain = single[0] == 1 and single[1] <= 1 and all(each.end - each.payload == ADOBE_SIZE for each in adobes)
    if not plain or len(adobes) > 1 or not (_tables_once(data, kept) and _bits_once(data, kept)):
        return None
    return b"\xff\xd8" + b"".join(data[each.start : each.end] for each in (*adobes, *kept)) + b"\xff\xd9"


def _tables_once(data: bytes, segments: Sequence[Segment]) -> bool:
    """Whether no quantization table is given twice, and no table of codes without a scan between."""
    steps: set[int] = set()
    codes: set[int] = set()
    for each in segments:
        at = each.payload
        while each.marker in (DQT, DHT) and at < each.end:
            slot, given = data[at], steps if each.marker == DQT else codes
            number = slot & 15 if each.marker == DQT else slot
            if number in given:
                return False
            given.add(number)
            at += 1 + 64 * (1 + (slot >> 4)) if each.marker == DQT else 17 + sum(data[at + 1 : at + 17])
        if each.marker == SOS:
            codes.clear()
    return True


def _bits_once(data: bytes, segments: Sequence[Segment]) -> bool:
    """Whether each coefficient of each component is coded from its high bits to its low ones, each once."""
    lowest: dict[tuple[int, int], int] = {}
    for each in segments:
        if each.marker != SOS:
            continue
        count = data[each.payload]
        first, last, approximation = data[each.payload + 1 + 2 * count : each.payload + 4 + 2 * count]
        high, low = approximation >> 4, approximation & 15
        for name in data[each.payload + 1 : each.payload + 1 + 2 * count : 2]:
            for coefficient in range(first, last + 1):
                before = lowest.get((name, coefficient))
                if (before is not None) if high == 0 else (before != high or low != high - 1):
                    return False
                lowest[name, coefficient] = low
    return True
