"""What fuzzing starts from: small valid files, the crafted ones that broke something once, and bare metadata."""

from collections.abc import Iterator

from tests.hostile.crafted import crafted
from tests.hostile.seeds import seeds
from tests.images import GPANO_XMP, srgb_profile
from tests.rich_metadata import rich_avif, rich_exif, rich_jpeg, rich_png, rich_tiff, rich_webp, rich_xmp

LARGEST = 64 * 1024


def corpus(target: str) -> Iterator[tuple[str, bytes]]:
    """Files by name for `target`, each at most 64 KiB."""
    files = dict(_metadata()) if target == "metadata" else dict(_pictures())
    for name, data in files.items():
        if 0 < len(data) <= LARGEST and (target != "jpeg" or data.startswith(b"\xff\xd8")):
            yield name, data


def _pictures() -> Iterator[tuple[str, bytes]]:
    yield from seeds().items()
    for each in crafted():
        yield f"crafted {each.name}", each.data
    for make in (rich_jpeg, rich_png, rich_webp, rich_avif, rich_tiff):
        yield make.__name__, make()


def _metadata() -> Iterator[tuple[str, bytes]]:
    yield "exif little-endian", rich_exif("<")
    yield "exif big-endian", rich_exif(">")
    yield "xmp", rich_xmp()
    yield "gpano", GPANO_XMP
    yield "icc", srgb_profile()
