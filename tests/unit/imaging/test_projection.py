"""Which pictures are panoramas: GPano's word, the caller's, and what the borders of a picture prove."""

import math

import cv2
import numpy as np
import pytest
from skimage import data

from benchmarks.spherical_scene import ground, turn, turned
from service.errors import InvalidRequest
from service.imaging.gpano import rebuild_gpano
from service.imaging.projection import looks_whole, sphere_of
from service.imaging.raster import ColorModel, Raster
from service.imaging.sphere import Sphere
from service.policy import Projection

HEAD = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'


def gpano(**numbers: int) -> bytes:
    """A rebuilt packet; `full`, `full_height`, `width`, `height`, `left`, `top` as given."""
    names = {
        "full": "FullPanoWidthPixels",
        "full_height": "FullPanoHeightPixels",
        "width": "CroppedAreaImageWidthPixels",
        "height": "CroppedAreaImageHeightPixels",
        "left": "CroppedAreaLeftPixels",
        "top": "CroppedAreaTopPixels",
    }
    tags = "".join(f' GPano:{names[name]}="{value}"' for name, value in numbers.items())
    body = (
        '<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
        f'GPano:ProjectionType="equirectangular"{tags}/></rdf:RDF></x:xmpmeta>'
    )
    packet, equirectangular = rebuild_gpano(HEAD + body.encode())
    assert equirectangular
    assert packet is not None
    return packet


def blank(width: int, height: int, orientation: int = 1, packet: bytes | None = None) -> Raster:
    stored = (width, height) if orientation > 4 else (height, width)
    return Raster(np.zeros((*stored, 3), np.uint8), ColorModel.RGB, False, orientation=orientation, gpano=packet)


def rgb(pixels: np.ndarray) -> Raster:
    return Raster(np.ascontiguousarray(pixels), ColorModel.RGB, False)


def test_gpano_without_a_crop_makes_a_2_to_1_picture_a_whole_panorama():
    packet = gpano(full=64, full_height=32)
    assert sphere_of(blank(64, 32, packet=packet), Projection.AUTO) == Sphere.whole(64, 32)
    assert sphere_of(blank(64, 32, packet=packet), Projection.PLANAR) is None
    assert sphere_of(blank(64, 48, packet=packet), Projection.AUTO) is None


@pytest.mark.parametrize("scale", [1, 2])
def test_a_crop_is_placed_where_gpano_says_also_if_the_picture_was_scaled(scale: int):
    packet = gpano(full=400, full_height=200, width=300, height=80, left=20, top=60)
    for wanted in (Projection.AUTO, Projection.EQUIRECTANGULAR):
        found = sphere_of(blank(300 // scale, 80 // scale, packet=packet), wanted)
        assert found == Sphere(300 // scale, 80 // scale, 400 / scale, 200 / scale, 20 / scale, 60 / scale)
        assert not found.wraps
    middle = found.directions(np.array([[180 / scale, 40 / scale]]))[0]
    assert np.allclose(middle, (0, 0, 1), atol=1e-9)


@pytest.mark.parametrize(("orientation", "left", "top"), [(2, 80, 60), (3, 80, 60), (4, 20, 60)])
def test_a_turned_crop_is_turned_on_the_sphere(orientation: int, left: int, top: int):
    packet = gpano(full=400, full_height=200, width=300, height=80, left=20, top=60)
    found = sphere_of(blank(300, 80, orientation, packet), Projection.AUTO)
    assert found is not None
    assert (found.left, found.top) == (left, top)


@pytest.mark.parametrize(
    "numbers",
    [
        {"full": 400, "full_height": 200, "width": 300, "height": 200, "left": 0, "top": 0},
        {"full": 400, "full_height": 300, "width": 300, "height": 80, "left": 0, "top": 0},
        {"full": 400, "full_height": 200, "width": 300, "height": 80, "left": 200, "top": 0},
        {"full": 400, "full_height": 200, "width": 0, "height": 80, "left": 0, "top": 0},
    ],
)
def test_a_crop_that_cannot_be_is_not_believed(numbers: dict[str, int]):
    raster = blank(300, 80, packet=gpano(**numbers))
    assert sphere_of(raster, Projection.AUTO) is None
    with pytest.raises(InvalidRequest) as refused:
        sphere_of(raster, Projection.EQUIRECTANGULAR)
    assert [each.pointer for each in refused.value.problems] == ["/projection"]


def test_a_picture_on_its_side_is_searched_flat_and_refused_as_panorama():
    raster = blank(32, 64, orientation=6, packet=gpano(full=64, full_height=32))
    assert sphere_of(raster, Projection.AUTO) is None
    with pytest.raises(InvalidRequest, match="invalid") as refused:
        sphere_of(raster, Projection.EQUIRECTANGULAR)
    assert "32 × 64" in refused.value.problems[0].detail


def test_the_caller_may_say_so_for_2_to_1_only():
    assert sphere_of(blank(64, 32), Projection.EQUIRECTANGULAR) == Sphere.whole(64, 32)
    assert sphere_of(blank(65, 33), Projection.EQUIRECTANGULAR) is not None
    with pytest.raises(InvalidRequest) as refused:
        sphere_of(blank(64, 48), Projection.EQUIRECTANGULAR)
    assert "64 × 48" in refused.value.problems[0].detail


@pytest.mark.parametrize("yaw", [0, 40, 90, 205])
@pytest.mark.parametrize("quality", [50, 95])
def test_a_whole_panorama_is_known_by_its_borders(yaw: int, quality: int):
    scene = turned(ground(2048), turn(math.radians(yaw), 0), 2048)
    coded = cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    raster = rgb(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    assert looks_whole(raster)
    assert sphere_of(raster, Projection.AUTO) == Sphere.whole(2048, 1024)
    assert not looks_whole(rgb(scene[:, 40:])), "the seam does not fit any more"


def photographs() -> list[np.ndarray]:
    """2:1 parts of free photographs, enlarged to 2048 pixels."""
    parts = []
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        picture = getattr(data, name)()
        height, width = picture.shape[:2]
        half = width // 2
        parts += [picture[top : top + half] for top in (0, (height - half) // 2, height - half)]
    return [cv2.resize(part, (2048, 1024), interpolation=cv2.INTER_CUBIC) for part in parts]


def test_parts_of_photographs_are_not_taken_for_panoramas():
    assert not any(looks_whole(rgb(part)) for part in photographs())


def test_an_even_picture_proves_nothing():
    assert not looks_whole(rgb(np.full((1024, 2048, 3), 200, np.uint8)))
    fade = np.tile(np.linspace(0, 255, 1024, dtype=np.uint8)[:, None, None], (1, 2048, 3))
    assert not looks_whole(rgb(fade))
