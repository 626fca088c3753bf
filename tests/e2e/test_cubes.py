"""Six cube faces go in as one form and come out together, hidden across edges, with one receipt, or not at all."""

import hashlib
import io
import json
import math
import zipfile
from email import message_from_bytes
from email.policy import HTTP

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.spherical_scene import Placed, compose, ground, portrait
from tests.cube_pictures import NAMES, face_angles, face_of
from tests.e2e.setups import Setup, encoded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIDE = 512
R = math.radians(1)
PLACED = [
    Placed(portrait(), 45 * R, 0, 20 * R),  # half on front, half on right
    Placed(portrait(), 178 * R, 5 * R, 18 * R),  # across the seam of a panorama, in the middle of back
    Placed(portrait(), -90 * R, -46 * R, 20 * R),  # left and down
]


@pytest.fixture(scope="module")
def faces() -> dict[str, np.ndarray]:
    scene = compose(ground(4 * SIDE), PLACED)
    return {name: face_of(scene, name, SIDE) for name in NAMES}


def form(faces: dict[str, np.ndarray], **formats: str) -> dict[str, tuple[str, bytes]]:
    return {name: ("x", encoded(pixels, formats.get(name, "JPEG"))) for name, pixels in faces.items()}


def post(setup: Setup, files: dict[str, tuple[str, bytes]], accept: str = "*/*", **options: str) -> httpx.Response:
    return setup.client.post("/v1/anonymize", params=options, files=files, headers={"Accept": accept})


def unpacked(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def places(placed: Placed) -> dict[str, np.ndarray]:
    """Which pixels of each face show the object's inner half."""
    found = {}
    for name in NAMES:
        longitude, latitude = face_angles(name, SIDE)
        level = np.cos(latitude)
        rays = np.stack([level * np.sin(longitude), np.sin(latitude), level * np.cos(longitude)], axis=-1)
        right, down, forward = np.moveaxis(rays @ placed.frame.T, -1, 0)
        half = math.tan(placed.height / 2) / 2
        ahead = np.where(forward > 0.1, forward, 1)
        found[name] = (forward > 0.1) & (np.abs(right / ahead) < half * 0.7) & (np.abs(down / ahead) < half)
    return found


def test_objects_are_hidden_on_every_face_that_shows_them_and_the_rest_is_not_touched(
    setup: Setup, faces: dict[str, np.ndarray]
) -> None:
    sent = form(faces)
    files = unpacked(post(setup, sent, classes="face"))  # the ground may show something that looks like a plate
    assert sorted(files) == sorted(["receipt.json", *(f"{name}.jpg" for name in NAMES)])
    touched = {}
    for name in NAMES:
        before, after = opened(sent[name][1]), opened(files[f"{name}.jpg"])
        touched[name] = np.abs(before - after).max(axis=2) > 0
    for placed in PLACED:
        shown = places(placed)
        assert sum(int(each.sum()) for each in shown.values()) > 200
        for name, inside in shown.items():
            assert touched[name][inside].mean() > 0.95 if inside.sum() > 20 else True, f"{placed.longitude}, {name}"
    assert len([name for name in NAMES if touched[name].any()]) >= 4
    assert sum(int(each.sum()) for each in touched.values()) < 0.15 * 6 * SIDE * SIDE
    assert not touched["up"][: SIDE // 2].any()


def test_one_receipt_tells_of_all_six(embedded: Setup, faces: dict[str, np.ndarray]) -> None:
    sent = form(faces)
    # Sure ones: three are counted, and not one of them again as a window of the panorama shows it, drawn out.
    answer = post(embedded, sent, source_ref="cube-1", **{"threshold.face": "0.5"})
    files = unpacked(answer)
    receipt = embedded.get(f"/v1/receipts/{answer.headers['veil-receipt']}").json()
    assert json.loads(files["receipt.json"]) == receipt
    assert receipt["outcome"] == "ok"
    assert receipt["source_ref"] == "cube-1"
    assert receipt["counts"]["face"] == len(PLACED)
    assert receipt["input"] == {
        "format": "jpeg",
        "width": 4 * SIDE,
        "height": 2 * SIDE,
        "bytes": sum(len(data) for _, data in sent.values()),
    }
    together = b"".join(files[f"{name}.jpg"] for name in NAMES)
    assert receipt["output"]["sha256"] == hashlib.sha256(together).hexdigest()
    assert receipt["output"]["bytes"] == len(together)
    assert receipt["output"]["rewrite"] == "patch"
    assert receipt["policy"]["projection"] == "equirectangular"


def test_parts_come_in_order_where_they_are_asked_for(embedded: Setup, faces: dict[str, np.ndarray]) -> None:
    answer = post(embedded, form(faces, up="PNG", down="WEBP"), accept="multipart/mixed")
    assert answer.status_code == 200, answer.text
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=HTTP)
    parts = [(part.get_content_type(), part.get_filename()) for part in message.iter_parts()]  # type: ignore[attr-defined]
    kinds = {"up": ("image/png", ".png"), "down": ("image/webp", ".webp")}
    expected = [(kind, name + end) for name in NAMES for kind, end in [kinds.get(name, ("image/jpeg", ".jpg"))]]
    assert parts == [("application/json", "receipt.json"), *expected]


def test_the_finished_faces_are_searched_again_as_one_sphere(embedded: Setup, faces: dict[str, np.ndarray]) -> None:
    clean = post(embedded, form(faces), classes="face", verify="redetect", residual="refuse")
    assert clean.status_code == 200, clean.text
    assert clean.headers["veil-residual"] == "count=0, outcome=clean"
    assert json.loads(unpacked(clean)["receipt.json"])["timings_ms"]["redetect"] > 0


def test_one_face_that_cannot_be_decoded_keeps_all_of_them_back(embedded: Setup, faces: dict[str, np.ndarray]) -> None:
    sent = form(faces)
    sent["down"] = ("x", sent["down"][1][:2000])
    answer = post(embedded, sent)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/corrupt-image"
    receipt = embedded.get(f"/v1/receipts/{answer.json()['receipt']}").json()
    assert receipt["outcome"] == "rejected"
    assert receipt["output"]["sha256"] is None


def test_what_is_no_cube_is_refused_by_name(embedded: Setup, faces: dict[str, np.ndarray]) -> None:
    whole = form(faces)
    small = {**whole, "left": ("x", encoded(faces["left"][:, :100], "JPEG"))}
    both = {**whole, "image": whole["front"]}
    five = {name: part for name, part in whole.items() if name != "back"}
    cases = [(small, {}, ["/left"]), (both, {}, ["/image"]), (five, {}, ["/back"])]
    cases += [(whole, {"projection": "planar"}, ["/projection"]), (whole, {"regions": "[[0,0,9,9]]"}, ["/regions"])]
    for files, options, pointers in cases:
        answer = post(embedded, files, **options)
        assert answer.status_code == 422, answer.text
        assert [each["pointer"] for each in answer.json()["problems"]] == pointers
    assert post(embedded, whole, accept="image/jpeg").status_code == 406
    assert embedded.client.post("/v1/detect", files=whole).status_code == 422
