"""Single bits, most significant first, and the codes that video headers are written in."""

from service.errors import CorruptImage

LONGEST_CODE = 32


class BitReader:
    """Reads bits of `data` from its first on. Raises CorruptImage past its end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def bits(self, count: int) -> int:
        """The next `count` bits as an unsigned integer."""
        if count > self._left:
            raise CorruptImage(cause="a bitstream header ends too early")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        return bool(self.bits(1))

    def exp_golomb(self) -> int:
        """An unsigned Exp-Golomb code: ue(v) of ITU-T H.265 §9.2, uvlc() of AV1 §4.10.3."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > LONGEST_CODE:
                raise CorruptImage(cause="an implausible code in a bitstream header")
        return (1 << zeros) - 1 + self.bits(zeros)
