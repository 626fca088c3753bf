"""Any supported file, taken apart."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import CorruptImage
from service.imaging.anatomy.box_parts import dissect_boxes
from service.imaging.anatomy.chunk_parts import dissect_png, dissect_webp
from service.imaging.anatomy.exif_parts import dissect_directories
from service.imaging.anatomy.jpeg_parts import dissect_jpeg
from service.imaging.anatomy.parts import Fate, Part, remainder
from service.imaging.containers import jp2, tiff
from service.imaging.formats import ImageFormat, sniff

TIFF_OWN = tiff.WRITTEN | tiff.FOR_DECODER | {tiff.XMP, tiff.ICC}


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A file's format and all its parts, in the order of the file."""

    format: ImageFormat
    parts: tuple[Part, ...]

    @property
    def suspicious(self) -> bool:
        """Whether there is anything that Veil would never write."""
        return any(each.suspicious for each in self.parts)


def dissect(data: bytes) -> Anatomy:
    """Every part of `data`, to the last byte.

    Raises UnsupportedFormat, or CorruptImage if its structure cannot be followed.
    """
    kind = sniff(data)
    try:
        return Anatomy(kind, tuple(READERS[kind](data)))
    except (ValueError, IndexError, KeyError, OverflowError, struct.error) as error:
        raise CorruptImage(cause=f"{kind.value} structure: {error}") from None


def _dissect_tiff(data: bytes) -> list[Part]:
    return dissect_directories(data, TIFF_OWN.__contains__)


def _dissect_jp2(data: bytes) -> list[Part]:
    if data.startswith(jp2.CODESTREAM):
        return [Part(0, len(data), "codestream", Fate.PICTURE)]
    return dissect_boxes(data)


def _dissect_bmp(data: bytes) -> list[Part]:
    """The stated size and what is behind it; inside, the pixels are wherever the header says."""
    stated = min(struct.unpack_from("<I", data, 2)[0] or len(data), len(data))
    return [Part(0, stated, "BMP", Fate.PICTURE), *remainder(data, stated, len(data), "trailer")]


READERS: dict[ImageFormat, Callable[[bytes], list[Part]]] = {
    ImageFormat.JPEG: dissect_jpeg,
    ImageFormat.PNG: dissect_png,
    ImageFormat.WEBP: dissect_webp,
    ImageFormat.TIFF: _dissect_tiff,
    ImageFormat.BMP: _dissect_bmp,
    ImageFormat.AVIF: dissect_boxes,
    ImageFormat.HEIC: dissect_boxes,
    ImageFormat.JP2: _dissect_jp2,
}
