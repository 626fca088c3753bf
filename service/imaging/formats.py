"""The four image formats that Veil reads and writes, and how any other is recognized, by content alone."""

from enum import StrEnum

from service.errors import UnsupportedFormat

READ = "JPEG, PNG, WebP and TIFF"


class ImageFormat(StrEnum):
    """A format that Veil reads and writes."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    TIFF = "tiff"

    @property
    def media_type(self) -> str:
        """`image/jpeg` and so on (IANA)."""
        return f"image/{self.value}"

    @property
    def extension(self) -> str:
        """File name extension with its dot."""
        return ".jpg" if self is ImageFormat.JPEG else f".{self.value}"

    @classmethod
    def from_media_type(cls, media_type: str) -> "ImageFormat | None":
        """The format of `media_type` (parameters and letter case ignored), None if Veil does not know it."""
        kind, _, name = media_type.partition(";")[0].strip().lower().partition("/")
        name = "jpeg" if name in {"jpg", "pjpeg"} else name
        return cls(name) if kind == "image" and name in tuple(cls) else None


TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

FOREIGN = (
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"IIRO", "camera raw"),
    (0, b"IIU\0", "camera raw"),
    (0, b"FUJIFILMCCD-RAW", "camera raw"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (8, b"AVI ", "AVI"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftyp", "video"),
)
"""(offset, magic, name) of formats that are met often enough to be named in the answer."""


def sniff(data: bytes) -> ImageFormat:
    """The format that `data` begins with.

    Raises UnsupportedFormat, which names the format if it is another known one.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if data.startswith(TIFF_SIGNATURES):
        return ImageFormat.TIFF
    if not data:
        raise UnsupportedFormat(f"The upload is empty. The formats read are {READ}.")
    for offset, magic, name in FOREIGN:
        if data.startswith(magic, offset):
            raise UnsupportedFormat(f"{name} is not a format that this service reads; it reads {READ}.")
    if data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<svg", b"<?xml", b"<!DOCTYPE")):
        raise UnsupportedFormat(f"SVG and XML are not formats that this service reads; it reads {READ}.")
    raise UnsupportedFormat(f"The content is none of the formats that this service reads: {READ}.")
