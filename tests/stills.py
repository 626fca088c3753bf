"""HEIC, AVIF, JPEG 2000 and BMP files, made by other writers than the service's own, and by hand where none can."""

import io
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image

from tests.images import GPANO_XMP, LEAK, leaky_exif, srgb_profile, with_pillow

Array = npt.NDArray[Any]

MODES = {
    (1, 1): "L",
    (2, 1): "LA",
    (3, 1): "RGB",
    (4, 1): "RGBA",
    (1, 2): "I;16L",
    (2, 2): "LA;16",
    (3, 2): "RGB;16",
    (4, 2): "RGBA;16",
}
EXACT = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
"""Options of pillow_heif with which nothing is lost."""


def heic(pixels: Array, **options: Any) -> bytes:
    """`pixels` (H, W, C) as HEIC by x265, lossless unless options say otherwise; of 16 bits the upper 10."""
    file = io.BytesIO()
    height, width, channels = pixels.shape
    mode = MODES[channels, pixels.dtype.itemsize]
    pillow_heif.encode(mode, (width, height), np.ascontiguousarray(pixels).tobytes(), file, **(EXACT | options))
    return file.getvalue()


def heic_by_libheif(data: bytes) -> Array:
    """What libheif, left to itself, makes of a HEIC file: turned and cropped, (H, W, C)."""
    image = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
    return np.atleast_3d(np.asarray(image).copy())


def leaky_heic(pixels: Array, orientation: int = 6) -> bytes:
    """A HEIC with EXIF and its thumbnail, XMP, ICC, a thumbnail item, a film and a trailer, marked with LEAK."""
    small = with_pillow(pixels[::4, ::4], "JPEG") + LEAK
    height, width = pixels.shape[:2]
    file = pillow_heif.from_bytes("RGB", (width, height), np.ascontiguousarray(pixels).tobytes())
    file[0].info["thumbnails"] = [16]
    out = io.BytesIO()
    file.save(
        out,
        exif=b"Exif\0\0" + leaky_exif(orientation, small),
        xmp=GPANO_XMP,
        icc_profile=srgb_profile(),
        **EXACT,
    )
    film = b"ftypmp42" + LEAK
    return out.getvalue() + struct.pack(">I", len(film) + 8) + b"mpvd" + film + LEAK


def leaky_avif(pixels: Array, orientation: int = 6) -> bytes:
    """An AVIF with EXIF and its thumbnail, XMP, ICC, a free box and a trailer, marked with LEAK."""
    small = with_pillow(pixels[::4, ::4], "JPEG") + LEAK
    data = with_pillow(
        pixels,
        "AVIF",
        exif=b"Exif\0\0" + leaky_exif(orientation, small),
        xmp=GPANO_XMP,
        icc_profile=srgb_profile(),
        quality=95,
        subsampling="4:4:4",
    )
    return data + struct.pack(">I", len(LEAK) + 8) + b"free" + LEAK + LEAK


def jp2(pixels: Array, *, codestream: bool = False, exact: bool = True) -> bytes:
    """`pixels` (H, W, C) as JPEG 2000 by OpenCV (1, 3 and 4 channels, 8 or 16 bits)."""
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000 if exact else 100]
    done, data = cv2.imencode(".jp2", np.ascontiguousarray(pixels[:, :, order]), options)
    assert done
    found = bytes(data.tobytes())
    return found[found.index(b"\xff\x4f\xff\x51") :] if codestream else found


def isobmff(kind: bytes, *parts: bytes) -> bytes:
    """A box of the ISO base media file format."""
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def jp2_by_hand(codestream: bytes, *boxes: bytes, color: bytes = b"\1\0\0\0\0\0\x10", after: bytes = b"") -> bytes:
    """A JP2 file of `codestream`; `boxes` go behind the color specification in its header, `after` in between."""
    height, width = (int.from_bytes(codestream[at : at + 4], "big") for at in (12, 8))
    channels = int.from_bytes(codestream[40:42], "big")
    ihdr = isobmff(b"ihdr", struct.pack(">IIHBBBB", height, width, channels, codestream[42], 7, 0, 0))
    return b"".join(
        (
            isobmff(b"jP  ", b"\r\n\x87\n"),
            isobmff(b"ftyp", b"jp2 \0\0\0\0jp2 "),
            isobmff(b"jp2h", ihdr, isobmff(b"colr", color), *boxes),
            after,
            isobmff(b"jp2c", codestream),
        )
    )


def bmp(
    rows: bytes,
    width: int,
    height: int,
    bits: int,
    *,
    compression: int = 0,
    masks: tuple[int, ...] = (),
    palette: bytes = b"",
    size: int = 40,
    icc: bytes = b"",
    colors: int = 0,
) -> bytes:
    """A BMP of `rows` as they are in the file; a negative height is top-down; `size` is that of its second header."""
    offset = 14 + size + (4 * len(masks) if size == 40 else 0) + len(palette)
    info = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, len(rows), 11811, 5906, colors, 0)
    info += struct.pack(f"<{len(masks)}I", *masks)
    if size == 124:
        kind = b"DEBM" if icc else b"BGRs"
        info = info.ljust(56, b"\0") + kind + bytes(48) + struct.pack("<IIII", 4, offset - 14 + len(rows), len(icc), 0)
    elif size == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    elif size > 40:
        info = info.ljust(size, b"\0")
    head = struct.pack("<2sIII", b"BM", offset + len(rows) + len(icc), 0, offset)
    return head + info + palette + rows + icc


def read_by_pillow(data: bytes, mode: str | None = None) -> Array:
    with Image.open(io.BytesIO(data)) as image:
        return np.atleast_3d(np.asarray(image.convert(mode) if mode else image))
