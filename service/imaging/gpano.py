"""The projection of a panorama: Google's Photo Sphere XMP (GPano), read with suspicion and written anew.

Those properties that say when, where or with what a panorama was made (dates, PoseHeadingDegrees, software) are no part
of the projection and are left out.
"""

from dataclasses import dataclass

from service.imaging.exif_tags import Level
from service.imaging.xmp import read, rebuild
from service.imaging.xmp_properties import NAMESPACES, Property

GPANO = NAMESPACES["GPano"].encode()
EQUIRECTANGULAR = b' GPano:ProjectionType="equirectangular"'


@dataclass(frozen=True, slots=True)
class Crop:
    """What part of a full panorama a picture is said to show, in pixels of the picture as it was made; None: not said.

    `width`, `height`: of that part. `full_width`, `full_height`: of the full panorama. `left`, `top`: before the part.
    """

    width: int | None
    height: int | None
    full_width: int | None
    full_height: int | None
    left: int
    top: int


def rebuild_gpano(xmp: bytes) -> tuple[bytes | None, bool]:
    """A packet with the known GPano properties of `xmp` alone, and whether they say equirectangular.

    (None, False) if there are none, or `xmp` is not well-formed, or has a document type (entities), or is too large.
    Rebuilding a rebuilt packet gives the same bytes.
    """
    if GPANO not in xmp.replace(b"\0", b""):  # most pictures: not worth parsing
        return None, False
    packet = rebuild(xmp, _projection)
    return packet, packet is not None and EQUIRECTANGULAR in packet


def read_crop(packet: bytes) -> Crop:
    """What `packet`, of `rebuild_gpano`, says of the part that is shown."""
    values = {each.name: value for each, value in read(packet, _projection).items()}

    def number(name: str) -> int | None:
        value = values.get(name)
        return int(value) if isinstance(value, str) else None

    return Crop(
        number("CroppedAreaImageWidthPixels"),
        number("CroppedAreaImageHeightPixels"),
        number("FullPanoWidthPixels"),
        number("FullPanoHeightPixels"),
        number("CroppedAreaLeftPixels") or 0,
        number("CroppedAreaTopPixels") or 0,
    )


def _projection(known: Property) -> bool:
    return known.level is Level.STRIP
