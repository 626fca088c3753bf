"""Pictures made here, file by file, by writers that are not the service's own: Pillow, tifffile, and bytes by hand."""

import functools
import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageCms

Array = npt.NDArray[Any]

LEAK = b"LEAKED"
"""Found in an output, something of the input came along that must not."""

GPANO_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" '
    b'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GPano:ProjectionType="equirectangular" '
    b'GPano:FullPanoWidthPixels="64" GPano:FullPanoHeightPixels="32" GPano:PoseHeadingDegrees="123.4" '
    b'GPano:CaptureSoftware="LEAKED software" GCamera:MotionPhoto="1">'
    b"<GPano:CroppedAreaLeftPixels>0</GPano:CroppedAreaLeftPixels>"
    b'<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:image>LEAKED thumbnail</xmpGImg:image>'
    b"</rdf:li></rdf:Alt></xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def picture(height: int, width: int, channels: int, dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> Array:
    """(H, W, C): smooth, different in each channel and along each axis, so that no turn of it looks like another."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [
        0.5 + 0.5 * np.sin((c + 1) * 0.7 + x * (0.06 + 0.02 * c) + y * 0.03) * (0.3 + 0.7 * y / height)
        for c in range(channels)
    ]
    return np.rint(np.dstack(planes) * np.iinfo(dtype).max).astype(dtype)


def exif_block(orientation: int) -> bytes:
    """A big-endian EXIF block with its prefix."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return bytes(exif.tobytes())


@functools.cache
def srgb_profile() -> bytes:
    """Made once: it has the time in it."""
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def profile_for(space: bytes, size: int = 300) -> bytes:
    """Bytes with the header of an ICC profile for color space `space` (b"GRAY", b"CMYK"); empty inside."""
    body = bytearray(size)
    body[0:4] = struct.pack(">I", size)
    body[8:24] = b"\x02\x10\0\0prtr" + space + b"Lab "
    body[36:40] = b"acsp"
    return bytes(body)


def with_pillow(pixels: Array, name: str, **options: Any) -> bytes:
    """`pixels` (H, W, C) uint8 with C 1, 2, 3 or 4 (L, LA, RGB, RGBA; `mode="CMYK"` for ink) as a file of `name`."""
    mode = options.pop("mode", {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[pixels.shape[2]])
    height, width = pixels.shape[:2]
    image = Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def with_tifffile(pixels: Array, photometric: str = "rgb", **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric=photometric, **options)
    return file.getvalue()


def png_chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def png_by_hand(pixels: Array, *extra: bytes, depth: int | None = None, color_type: int | None = None) -> bytes:
    """A PNG of `pixels` (H, W, C), 8 or 16 bits, no filter; `extra` chunks go before IDAT.

    With `depth` below 8, `pixels` (H, W, 1) holds sample values, which are packed.
    """
    height, width, channels = pixels.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels] if color_type is None else color_type
    if depth is None:
        depth = pixels.dtype.itemsize * 8
        rows = [row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels]
    else:
        bits = np.unpackbits(pixels.reshape(height, width, 1).astype(np.uint8), axis=2)[:, :, 8 - depth :]
        rows = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", head), *extra, png_chunk(b"IDAT", body), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def leaky_jpeg(pixels: Array, orientation: int = 6) -> bytes:
    """A JPEG with everything in it that cameras and programs put beside the picture, each part marked with LEAK.

    EXIF with thumbnail, GPS, serial number and maker note; XMP with a thumbnail; extended XMP with an image; an ICC
    profile; a second picture announced by MPF; Photoshop resources; JFXX; a comment; a film after the end.
    """
    small = with_pillow(pixels[::4, ::4], "JPEG").replace(b"\xff\xd8", b"\xff\xd8" + jpeg_segment(0xFE, LEAK), 1)
    profile = srgb_profile()
    guid = b"0123456789ABCDEF0123456789ABCDEF"
    plain = with_pillow(pixels, "JPEG", quality=95)
    parts = [
        jpeg_segment(0xE0, b"JFXX\0\x10" + small),
        jpeg_segment(0xE1, b"Exif\0\0" + leaky_exif(orientation, small)),
        jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + GPANO_XMP),
        jpeg_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">II", len(LEAK), 0) + LEAK),
        jpeg_segment(0xE2, b"ICC_PROFILE\0\x01\x01" + profile),
        jpeg_segment(0xE2, b"MPF\0MM\0*" + LEAK),
        jpeg_segment(0xE6, b"GoPro\0" + LEAK),
        jpeg_segment(0xED, b"Photoshop 3.0\x008BIM\x04\x0c\0\0" + struct.pack(">I", len(small)) + small),
        jpeg_segment(0xFE, LEAK),
    ]
    return plain[:2] + b"".join(parts) + plain[2:] + small + b"\0\0\0\x18ftypmp42" + LEAK


def leaky_exif(orientation: int, thumbnail: bytes) -> bytes:
    """A little-endian EXIF block: orientation, owner, EXIF and GPS directories; a thumbnail in IFD1."""
    note = b"MakerNote " + LEAK
    blobs = [LEAK + b" owner\0", note, LEAK + b" serial\0", struct.pack("<6I", 48, 1, 51, 1, 24, 1), thumbnail]
    ifd0, exif, gps, ifd1 = 8, 8 + 54, 8 + 54 + 30, 8 + 54 + 30 + 30
    at = [ifd1 + 42]
    for blob in blobs:
        at.append(at[-1] + len(blob))

    def directory(following: int, *entries: tuple[int, int, int, int]) -> bytes:
        body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        return struct.pack("<H", len(entries)) + body + struct.pack("<I", following)

    head = b"II*\0" + struct.pack("<I", ifd0)
    head += directory(
        ifd1,
        (0x0112, 3, 1, orientation),
        (0x013B, 2, len(blobs[0]), at[0]),
        (0x8769, 4, 1, exif),
        (0x8825, 4, 1, gps),
    )
    head += directory(0, (0x927C, 7, len(note), at[1]), (0xA431, 2, len(blobs[2]), at[2]))
    head += directory(0, (0x0001, 2, 2, ord("N")), (0x0002, 5, 3, at[3]))
    head += directory(0, (0x0103, 3, 1, 6), (0x0201, 4, 1, at[4]), (0x0202, 4, 1, len(thumbnail)))
    return head + b"".join(blobs)


def leaky_png(pixels: Array, orientation: int = 6) -> bytes:
    """A PNG with EXIF and its thumbnail, XMP, ICC, texts, a time, a private chunk and a trailer, marked with LEAK."""
    small = with_pillow(pixels[::4, ::4], "JPEG") + LEAK
    chunks = [
        png_chunk(b"iCCP", b"LEAKED name\0\0" + zlib.compress(srgb_profile())),
        png_chunk(b"eXIf", leaky_exif(orientation, small)),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + GPANO_XMP),
        png_chunk(b"tEXt", b"Comment\0" + LEAK),
        png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(LEAK)),
        png_chunk(b"tIME", b"\x07\xe8\1\1\1\1\1"),
        png_chunk(b"prVt", LEAK),
    ]
    return png_by_hand(pixels, *chunks) + LEAK


def leaky_webp(pixels: Array, orientation: int = 6, **options: Any) -> bytes:
    """A WebP with EXIF and its thumbnail, XMP, ICC, an unknown chunk and a trailer, marked with LEAK."""
    small = with_pillow(pixels[::4, ::4], "JPEG") + LEAK
    data = with_pillow(
        pixels, "WEBP", exif=leaky_exif(orientation, small), xmp=GPANO_XMP, icc_profile=srgb_profile(), **options
    )
    extra = b"LEAK" + struct.pack("<I", len(LEAK)) + LEAK
    return b"RIFF" + struct.pack("<I", len(data) - 8 + len(extra)) + data[8:] + extra + LEAK


def leaky_tiff(pixels: Array, orientation: int = 6) -> bytes:
    """A TIFF with XMP, ICC, Photoshop resources, texts and a reduced copy as a second directory, marked with LEAK."""
    file = io.BytesIO()
    extra = [
        (274, "H", 1, orientation, True),
        (315, "s", 0, LEAK.decode(), True),
        (700, "B", len(GPANO_XMP), GPANO_XMP, True),
        (34377, "B", len(LEAK), LEAK, True),
        (34675, "B", len(srgb_profile()), srgb_profile(), True),
    ]
    with tifffile.TiffWriter(file) as writer:
        writer.write(pixels, photometric="rgb", description=LEAK.decode(), software=LEAK.decode(), extratags=extra)
        writer.write(np.ascontiguousarray(pixels[::4, ::4]), photometric="rgb", subfiletype=1)
    return file.getvalue() + LEAK
