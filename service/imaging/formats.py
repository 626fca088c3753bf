"""The image formats that Veil reads and writes, and how any other is recognized, by content alone."""

from enum import StrEnum

from service.errors import InvalidRequest, OptionProblem, UnsupportedFormat
from service.policy import OutputFormat


class ImageFormat(StrEnum):
    """A format that Veil reads."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    TIFF = "tiff"
    BMP = "bmp"
    AVIF = "avif"
    HEIC = "heic"
    JP2 = "jp2"

    @property
    def label(self) -> str:
        """The name that people use."""
        return {"webp": "WebP", "jp2": "JPEG 2000"}.get(self.value, self.value.upper())

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
        name = {"jpg": "jpeg", "pjpeg": "jpeg", "heif": "heic", "x-ms-bmp": "bmp", "x-bmp": "bmp"}.get(name, name)
        return cls(name) if kind == "image" and name in tuple(cls) else None


WRITTEN = tuple(each for each in ImageFormat if each not in (ImageFormat.HEIC, ImageFormat.JP2))
"""Formats of finished pictures. HEVC encoders are patented or under the GPL; JPEG 2000 is asked for by nobody."""


def _listed(names: list[str], last: str) -> str:
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


READ = _listed([each.label for each in ImageFormat], "and")


def output_format(source: ImageFormat, wanted: OutputFormat) -> ImageFormat:
    """The format of the finished picture.

    Raises InvalidRequest if it is to be that of `source` and Veil does not write it.
    """
    to = source if wanted is OutputFormat.SAME else ImageFormat(wanted.value)
    if to not in WRITTEN:
        others = _listed([each.value for each in OutputFormat if each is not OutputFormat.SAME], "or")
        reason = f"{to.label} is read but not written; give format={others}"
        raise InvalidRequest([OptionProblem("/format", reason)], f"{reason}.")
    return to


TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JP2_SIGNATURES = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
)
LONGEST_FTYP = 512

FOREIGN = (
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"IIRO", "camera raw"),
    (0, b"IIU\0", "camera raw"),
    (0, b"FUJIFILMCCD-RAW", "camera raw"),
    (4, b"ftypcrx ", "camera raw"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (8, b"AVI ", "AVI"),
    (4, b"ftyp", "video"),
)
"""(offset, magic, name) of formats that are met often enough to be named in the answer."""


def sniff(data: bytes) -> ImageFormat:
    """The format that `data` begins with.

    Raises UnsupportedFormat, which names the format if it is another known one.
    """
    found = _known(data)
    if found is not None:
        return found
    if not data:
        raise UnsupportedFormat(f"The upload is empty. The formats read are {READ}.")
    for offset, magic, name in FOREIGN:
        if data.startswith(magic, offset):
            raise UnsupportedFormat(f"{name} is not a format that this service reads; it reads {READ}.")
    if data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<svg", b"<?xml", b"<!DOCTYPE")):
        raise UnsupportedFormat(f"SVG and XML are not formats that this service reads; it reads {READ}.")
    raise UnsupportedFormat(f"The content is none of the formats that this service reads: {READ}.")


def _known(data: bytes) -> ImageFormat | None:
    for kind, signatures in (
        (ImageFormat.JPEG, (b"\xff\xd8\xff",)),
        (ImageFormat.PNG, (b"\x89PNG\r\n\x1a\n",)),
        (ImageFormat.TIFF, TIFF_SIGNATURES),
        (ImageFormat.JP2, JP2_SIGNATURES),
    ):
        if data.startswith(signatures):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if data.startswith(b"BM") and data[15:18] == b"\0\0\0":  # the size of the second header, below 256
        return ImageFormat.BMP
    if data[4:8] == b"ftyp":
        return _by_brands(data)
    return None


def _by_brands(data: bytes) -> ImageFormat | None:
    """AVIF or HEIC, by the brands in `ftyp` (ISO/IEC 14496-12 §4.3)."""
    size = min(int.from_bytes(data[:4], "big"), LONGEST_FTYP)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, size, 4))}
    if brands & AVIF_BRANDS:
        return ImageFormat.AVIF
    return ImageFormat.HEIC if brands & HEIC_BRANDS and data[8:12] != b"crx " else None
