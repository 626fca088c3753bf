"""What is fuzzed: each target takes any bytes and returns, or raises what a caller would not expect.

A target checks more than that nothing breaks: what is written must pass the check that each answer must pass, and what
is rebuilt must be stable.
"""

from collections.abc import Callable

from service.errors import UploadRejected
from service.imaging import turbojpeg
from service.imaging.anatomy.dissect import dissect
from service.imaging.codec import decode, encode
from service.imaging.exif import select
from service.imaging.exif_tags import Selection
from service.imaging.formats import ImageFormat, output_format
from service.imaging.gpano import rebuild_gpano
from service.imaging.jpeg_patch import patch
from service.imaging.masking import Mask, Region
from service.imaging.metadata import usable_profile
from service.imaging.obscuring import Composite, obscure
from service.imaging.outlines import BoxOutline, EllipseOutline
from service.imaging.raster import ColorModel
from service.imaging.signatures import holds_picture
from service.imaging.source import Source, SourceLimits, inspect
from service.imaging.verify import verify
from service.imaging.xmp import rebuild
from service.imaging.xmp_properties import keeps
from service.policy import MetadataMode, MetadataPolicy, Obscure, OutputFormat

Target = Callable[[bytes], None]

LIMITS = SourceLimits(max_pixels=262_144, max_side=4096)
POLICIES = (
    MetadataPolicy(),
    MetadataPolicy(mode=MetadataMode.GEO),
    MetadataPolicy(mode=MetadataMode.KEEP),
)
LIBRARY = turbojpeg.load()


def source(data: bytes) -> None:
    """Sniffing, every container's header, and the walk of `veil inspect` over every byte."""
    for read in (lambda: inspect(data, LIMITS), lambda: dissect(data)):
        try:
            read()
        except UploadRejected:
            continue


def metadata(data: bytes) -> None:
    """EXIF, XMP, GPano and ICC on their own, in every mode: rebuilding what was rebuilt changes nothing."""
    for keep in POLICIES:
        selection = Selection(keep, upright=False, in_tiff=False)
        exif = select(data, selection, 1)
        assert not holds_picture(exif.block()), "EXIF with a picture in it"
        assert not exif or select(exif.block(), selection, 1) == exif, "EXIF is not stable"
        packet = rebuild(data, lambda known, keep=keep: keeps(known, keep))  # type: ignore[misc]
        if packet is not None:
            again = rebuild(packet, lambda known, keep=keep: keeps(known, keep))  # type: ignore[misc]
            assert again == packet, "XMP is not stable"
    gpano, _ = rebuild_gpano(data)
    assert gpano is None or rebuild_gpano(gpano)[0] == gpano, "GPano is not stable"
    for color in ColorModel:
        usable_profile(data, color)


def jpeg(data: bytes) -> None:
    """A whole JPEG, hidden in two places and patched; what comes out passes the check of every answer."""
    anonymized(data, only=ImageFormat.JPEG)


def picture(data: bytes) -> None:
    """Any format, decoded, hidden in two places, written anew in the format that it would be answered in."""
    anonymized(data, only=None)


def anonymized(data: bytes, only: ImageFormat | None) -> None:
    """The way of one picture without detection. Raises what is neither a picture nor a refusal."""
    keep = POLICIES[len(data) % len(POLICIES)]
    try:
        found = inspect(data, LIMITS)
        if only is not None and found.format is not only:
            return
        composite = obscure(decode(found), _mask(found), b"a secret for fuzzing")
        wanted = OutputFormat.SAME if found.format not in (ImageFormat.HEIC, ImageFormat.JP2) else OutputFormat.PNG
        to = output_format(found.format, wanted)
        verify(_written(composite, found, to, keep), to, composite, keep)
    except UploadRejected:
        return


def _written(composite: Composite, found: Source, to: ImageFormat, keep: MetadataPolicy) -> bytes:
    if found.format is to is ImageFormat.JPEG and LIBRARY is not None:
        patched = patch(composite, found, LIBRARY, keep, keep_progressive=len(found.data) % 2 == 0)
        if patched is not None:
            return patched
    return encode(composite, to, 90, keep)


def _mask(found: Source) -> Mask:
    """An ellipse in the middle and a box over a corner."""
    width, height = found.width, found.height
    outlines = (
        EllipseOutline(width / 2, height / 2, width / 6 + 1, height / 5 + 1),
        BoxOutline((-2.0, -2.0, width / 4 + 1, height / 7 + 1)),
    )
    regions = tuple(
        Region("face", outline, Obscure.BLUR, 1.0, cells) for outline, cells in zip(outlines, (4, 2), strict=True)
    )
    return Mask(regions, (), width, height)


TARGETS: dict[str, Target] = {each.__name__: each for each in (source, metadata, jpeg, picture)}
