"""libturbojpeg, by ctypes: the one operation on coefficients that its documented interface has, tjTransform.

A call decodes the entropy coding once and hands the blocks to a filter, row by row, before it codes them again. Two
transforms in one call see the same arrays in memory: the first, whose output is not wanted, lets them be read, the
second lets them be written. The interface is the same from version 2.0 to 3.x. The library comes from the platform
(Debian: libturbojpeg0); without it, this module imports all the same, and `load` gives None.
"""

import ctypes as ct
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.errors import CorruptImage
from service.imaging.dct import Coefficients

NAMES = ("libturbojpeg.so.0", "libturbojpeg.0.dylib", "libturbojpeg.dylib")

PERFECT, COPY_NONE, NO_OUTPUT, PROGRESSIVE, OPTIMIZE = 1, 64, 16, 32, 256
"""TJXOPT_*: an error if not all of the picture can be turned; no metadata; read only; progressive; optimal Huffman
tables (3.x, unknown to and ignored by 2.x)."""

TURNS = {2: 1, 3: 6, 4: 2, 5: 3, 6: 5, 7: 4, 8: 7}
"""TJXOP_* that turns a picture of the EXIF orientation upright."""

STOP_ON_WARNING, LIMIT_SCANS = 8192, 32768
"""TJFLAG_*: damaged data is an error; so are more than 500 scans."""

WARNING = 0
"""TJERR_WARNING: what was met would be concealed, were it not for STOP_ON_WARNING."""

BLOCK = 64

PROBE = b"".join(
    (
        bytes.fromhex("ffd8 ffdb0043 00") + b"\1" * 64,
        bytes.fromhex("ffc0000b 08 0008 0008 01 011100"),
        bytes.fromhex("ffc40014 00 01") + bytes(15) + b"\2",
        bytes.fromhex("ffc40014 10 01") + bytes(15) + b"\0",
        bytes.fromhex("ffda0008 01 0100 003f00 0f ffd9"),
    )
)
"""An 8 × 8 gray picture: one block, DC -3, all steps 1."""


class _Region(ct.Structure):
    """tjregion, in samples."""

    _fields_ = (("x", ct.c_int), ("y", ct.c_int), ("w", ct.c_int), ("h", ct.c_int))


class _Transform(ct.Structure):
    """tjtransform."""


# int (*)(short *coeffs, tjregion array, tjregion plane, int component, int transform, tjtransform *)
_FILTER = ct.CFUNCTYPE(ct.c_int, ct.c_void_p, _Region, _Region, ct.c_int, ct.c_int, ct.POINTER(_Transform))
_Transform._fields_ = (
    ("region", _Region),
    ("operation", ct.c_int),
    ("options", ct.c_int),
    ("data", ct.c_void_p),
    ("filter", _FILTER),
)


class Unsupported(Exception):
    """The library cannot transform this kind of file; the message says why."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What to do with the blocks of a file: both are called with (component, row, blocks).

    `blocks`: (n, 64) int16, one row of a component from its left edge, natural order, in the library's memory and good
    during the call only. All of `read` comes before any of `write`. `rows`: the (component, row) that are of interest.
    """

    rows: frozenset[tuple[int, int]]
    read: Callable[[int, int, Coefficients], None]
    write: Callable[[int, int, Coefficients], None]


class TurboJpeg:
    """A loaded library that has passed the check of `load`."""

    def __init__(self, library: ct.CDLL) -> None:
        self._library = library
        self.version = "3.x" if hasattr(library, "tj3Init") else "2.x"
        library.tjInitTransform.restype = ct.c_void_p
        library.tjTransform.argtypes = (
            *(ct.c_void_p, ct.c_char_p, ct.c_ulong, ct.c_int, ct.POINTER(ct.c_void_p), ct.POINTER(ct.c_ulong)),
            *(ct.POINTER(_Transform), ct.c_int),
        )
        library.tjGetErrorStr2.argtypes = (ct.c_void_p,)
        library.tjGetErrorStr2.restype = ct.c_char_p
        library.tjGetErrorCode.argtypes = (ct.c_void_p,)
        library.tjFree.argtypes = (ct.c_void_p,)
        library.tjFree.restype = None
        library.tjDestroy.argtypes = (ct.c_void_p,)

    def transform(self, data: bytes, edit: Edit | None = None, *, progressive: bool, optimize: bool = False) -> bytes:
        """`data`, a JPEG, coded anew from its coefficients, after `edit`; without metadata, trailers, second images.

        The file is progressive or sequential as asked; 3.x makes optimal Huffman tables for `optimize`. Releases the
        GIL but for the edit. What `edit` raises is raised from here.

        Raises CorruptImage if the decoder warns, Unsupported if it or the edit's library cannot do this kind of file.
        """
        options = COPY_NONE | (PROGRESSIVE if progressive else 0) | (OPTIMIZE if optimize else 0)
        if edit is None:
            return self._call(data, [_Transform(options=options)])
        raised: list[BaseException] = []
        callback = _FILTER(functools.partial(_on_row, edit, raised))
        # Both need the options: those of the first decide whether markers are kept in memory.
        first = _Transform(options=options | NO_OUTPUT, filter=callback)
        return self._call(data, [first, _Transform(options=options, filter=callback)], raised)

    def turn(self, data: bytes, orientation: int, *, progressive: bool, optimize: bool = False) -> bytes:
        """`data`, a JPEG of the EXIF `orientation` 2..8, stored upright; as `transform` otherwise.

        Raises CorruptImage, and Unsupported if it is no whole number of MCUs.
        """
        options = COPY_NONE | PERFECT | (PROGRESSIVE if progressive else 0) | (OPTIMIZE if optimize else 0)
        return self._call(data, [_Transform(operation=TURNS[orientation], options=options)])

    def _call(self, data: bytes, transforms: list[_Transform], raised: Iterable[BaseException] = ()) -> bytes:
        library, count = self._library, len(transforms)
        buffers, sizes = (ct.c_void_p * count)(), (ct.c_ulong * count)()
        handle = library.tjInitTransform()
        if not handle:
            raise MemoryError
        try:
            failed = library.tjTransform(
                *(handle, data, len(data), count, buffers, sizes),
                *((_Transform * count)(*transforms), STOP_ON_WARNING | LIMIT_SCANS),
            )
            for error in raised:
                raise error
            if failed:
                message = library.tjGetErrorStr2(handle).decode("ascii", "replace")
                if library.tjGetErrorCode(handle) == WARNING:
                    raise CorruptImage(cause=f"libturbojpeg: {message}")
                raise Unsupported(message)
            return ct.string_at(ct.c_void_p(buffers[count - 1]), sizes[count - 1])
        finally:
            for buffer in buffers:
                if buffer:
                    library.tjFree(buffer)
            library.tjDestroy(handle)


def _on_row(
    edit: Edit,
    raised: list[BaseException],
    pointer: int,
    array: _Region,
    _plane: _Region,
    component: int,
    transform: int,
    _transform: Any,
) -> int:
    """The filter: one row of blocks. Nothing is ever raised through the library; -1 ends its call."""
    try:
        row = array.y // 8
        if (component, row) in edit.rows:
            row_of_blocks = (ct.c_int16 * (array.w * BLOCK // 8)).from_address(pointer)
            blocks = np.frombuffer(row_of_blocks, np.int16).reshape(-1, BLOCK)
            (edit.read if transform == 0 else edit.write)(component, row, blocks)
    except BaseException as error:  # kept, and raised when the library has returned
        raised.append(error)
        return -1
    return 0


@functools.cache
def load() -> TurboJpeg | None:
    """The platform's library, loaded and tried out once for each process; None if there is none that fits."""
    for name in NAMES:
        try:
            library = TurboJpeg(ct.CDLL(name))
            if _works(library):
                return library
        except (OSError, AttributeError):
            continue  # not there, or older than 2.0
    return None


def _works(library: TurboJpeg) -> bool:
    """Whether `library` reads and writes coefficients as this module takes it to."""
    seen: list[int] = []
    edit = Edit(
        frozenset({(0, 0)}),
        read=lambda _component, _row, blocks: seen.append(int(blocks[0, 0])),
        write=lambda _component, _row, blocks: blocks.fill(5),
    )
    try:
        for progressive in (False, True):
            library.transform(library.transform(PROBE, edit, progressive=progressive), edit, progressive=progressive)
    except (CorruptImage, Unsupported):
        return False
    return seen == [-3, 5] * 2
