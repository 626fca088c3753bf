"""Panoramax's own client function, in its own environment, against a running service."""

import io
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IFDRational

from tests.pictures import FACE, street
from tests.service_process import ROOT, ServiceProcess

PYTHON = ROOT / ".cache" / "panoramax" / "bin" / "python"
CLIENT = Path(__file__).with_name("client.py")
ORIENTATION = "Exif.Image.Orientation"
POINTERS = ("Exif.Image.ExifTag", "Exif.Image.GPSTag")
"""Offsets inside the block: they say where something is, not what."""

UPRIGHT_TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    assert PYTHON.exists(), "run `requirements/tools.sh panoramax` (make test does)"
    with ServiceProcess(tmp_path_factory.mktemp("panoramax")) as process:
        yield process


def photograph(orientation: int, height: int = 640) -> bytes:
    """A JPEG of `height` × 640 pixels with a face and a plate, with what a camera writes, turned by `orientation`."""
    upright = Image.fromarray(street()[:height])
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Veil Optics", "Street 1", orientation
    exif[0x013B], exif[0x0132] = "Erika Mustermann", "2024:05:06 07:08:09"
    sub = exif.get_ifd(0x8769)
    sub[0x9003], sub[0x9291], sub[0xA431] = "2024:05:06 07:08:09", "123", "0815"
    sub[0x829A], sub[0x920A] = IFDRational(1, 250), IFDRational(35, 10)
    sub[0xA002], sub[0xA003] = 640, height
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (IFDRational(48), IFDRational(8), IFDRational(13754, 1000))
    gps[3], gps[4] = "E", (IFDRational(11), IFDRational(34), IFDRational(31992, 1000))
    gps[5], gps[6], gps[17] = 0, IFDRational(5201, 10), IFDRational(1234, 10)
    turn = UPRIGHT_TO_STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    out = io.BytesIO()
    stored.save(out, "JPEG", quality=95, exif=exif.tobytes())
    return out.getvalue()


@dataclass(frozen=True)
class Blurred:
    """A picture that went through Panoramax's client, and what it stored."""

    source: bytes
    stored: bytes
    size: list[int]
    format: str
    metadata: dict[str, Any]
    exif: dict[str, str]
    source_exif: dict[str, str]


def blurred(service: ServiceProcess, folder: Path, sources: Sequence[bytes], keep: str = "forget") -> list[Blurred]:
    store = folder / "store"
    store.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(len(sources))]
    for path, data in zip(paths, sources, strict=True):
        path.write_bytes(data)
    command = [PYTHON, CLIENT, service.url, store, keep, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return [
        Blurred(data, (store / path.name).read_bytes(), **found)
        for data, path, found in zip(sources, paths, json.loads(done.stdout), strict=True)
    ]


@pytest.fixture(scope="module")
def turned(service: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> list[Blurred]:
    """The same picture stored in each of the eight ways."""
    folder = tmp_path_factory.mktemp("turned")
    return blurred(service, folder, [photograph(orientation, height=560) for orientation in range(1, 9)])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_its_picture_is_hidden_upright_and_its_exif_as_it_was(turned: list[Blurred], orientation: int) -> None:
    found = turned[orientation - 1]
    assert (found.size, found.format) == ([640, 560], "JPEG")
    assert found.metadata["annotations"] == []
    assert set(found.metadata) == {"annotations", "blurring_id", "service_name"}

    before, after = dict(found.source_exif), dict(found.exif)
    assert (int(before[ORIENTATION]), int(after[ORIENTATION])) == (orientation, 1)
    for tags in (before, after):
        for name in (ORIENTATION, *POINTERS):
            tags.pop(name, None)
    assert len(before) > 15
    assert after == before

    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(found.source))), np.int16)
    answered = np.asarray(Image.open(io.BytesIO(found.stored)), np.int16)
    x1, y1, x2, y2 = FACE
    assert np.abs(answered - upright)[y1:y2, x1:x2].mean() > 10
    assert np.abs(answered - upright)[:, :120].mean() < 2


def test_keep_keeps_nothing(service: ServiceProcess, tmp_path: Path) -> None:
    (found,) = blurred(service, tmp_path, [photograph(1)], "keep")
    assert len(found.metadata["blurring_id"]) >= 32
    assert found.stored.count(b"\xff\xd8\xff") == 1
    left = {each.name.split(".db")[0] for each in service.folder.iterdir()}
    assert left == {"veil", "service.log"}


def test_a_repeat_is_cheap(service: ServiceProcess) -> None:
    # Like the client after an error: the same bytes again within a second.
    files = {"picture": ("picture.jpg", photograph(1, height=600), "image/jpeg")}
    answers = [httpx.post(f"{service.url}/blur/", files=files, timeout=60) for _ in range(2)]
    spent = [
        float(dict(each.split(";dur=") for each in answer.headers["server-timing"].split(", "))["detect"])
        for answer in answers
    ]
    assert spent[1] < spent[0] / 10
    assert answers[0].content == answers[1].content
