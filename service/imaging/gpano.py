"""The projection of a panorama: Google's Photo Sphere XMP (GPano), read with suspicion and written anew.

Those properties that say when, where or with what a panorama was made (dates, PoseHeadingDegrees, software) are no part
of the projection and are left out.
"""

from service.imaging.exif_tags import Level
from service.imaging.xmp import rebuild
from service.imaging.xmp_properties import NAMESPACES, Property

GPANO = NAMESPACES["GPano"].encode()
EQUIRECTANGULAR = b' GPano:ProjectionType="equirectangular"'


def rebuild_gpano(xmp: bytes) -> tuple[bytes | None, bool]:
    """A packet with the known GPano properties of `xmp` alone, and whether they say equirectangular.

    (None, False) if there are none, or `xmp` is not well-formed, or has a document type (entities), or is too large.
    Rebuilding a rebuilt packet gives the same bytes.
    """
    if GPANO not in xmp.replace(b"\0", b""):  # most pictures: not worth parsing
        return None, False
    packet = rebuild(xmp, _projection)
    return packet, packet is not None and EQUIRECTANGULAR in packet


def _projection(known: Property) -> bool:
    return known.level is Level.STRIP
