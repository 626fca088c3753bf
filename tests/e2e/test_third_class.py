"""docs/how-to/add-a-class.md as it is written: one more folder in the model repository, and nothing else changes."""

import io
import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.e2e.setups import FACE, encoded, portrait
from tests.service_process import ROOT, ServiceProcess
from tests.toy import write_toy

pytestmark = pytest.mark.slow

SIZE = {"tile_height": 640, "tile_width": 640, "max_detections": 256}
BADGE = (24, 408, 64, 448)
"""A red square that is drawn into the portrait's corner: x1, y1, x2, y2."""


@pytest.fixture
def veil(tmp_path: Path) -> ServiceProcess:
    """A deployment whose repository has the project's models, and one that finds red."""
    repository = tmp_path / "models"
    for name in ("face", "plate"):
        shutil.copytree(ROOT / "model_repository" / name, repository / name)
    write_toy(repository, "badge", spec={"threshold": 0.9, "margin": 0.3, **SIZE}, side=640, slots=256)
    return ServiceProcess(tmp_path, {"VEIL_MODELS__REPOSITORY": str(repository)})


def picture() -> bytes:
    pixels = np.array(portrait())
    x1, y1, x2, y2 = BADGE
    pixels[y1:y2, x1:x2] = (255, 0, 0)
    return encoded(pixels, "PNG")


def test_a_third_class_is_found_hidden_and_counted(veil: ServiceProcess) -> None:
    made = veil.run("models", "golden")
    assert made.returncode == 0, made.stderr
    assert "badge" in veil.run("models", "list").stdout
    headers = {"Content-Type": "image/png"}
    with veil as service:
        listed = httpx.get(f"{service.url}/v1/models", timeout=10).json()
        assert "badge" in json.dumps(listed)
        found = httpx.post(f"{service.url}/v1/detect", content=picture(), headers=headers, timeout=60)
        assert found.status_code == 200, (found.status_code, found.text, service.text())
        assert {each["class"] for each in found.json()["detections"]} >= {"face", "badge"}
        parameters = {"obscure": "fill"}
        done = httpx.post(
            f"{service.url}/v1/anonymize", content=picture(), headers=headers, params=parameters, timeout=60
        )
        assert done.status_code == 200, done.text
        receipt = httpx.get(f"{service.url}/v1/receipts/{done.headers['veil-receipt']}", timeout=10).json()
    after = np.asarray(Image.open(io.BytesIO(done.content)).convert("RGB"))
    for x1, y1, x2, y2 in (BADGE, FACE):
        assert (after[y1:y2, x1:x2] == after[y1, x1]).all()
    assert (after[BADGE[1], BADGE[0]] != (255, 0, 0)).any()
    assert receipt["counts"]["badge"] >= 1


def test_a_file_that_is_not_the_catalogs_stops_the_start(veil: ServiceProcess) -> None:
    with (veil.folder / "models" / "badge" / "1" / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    refused = veil.run("serve")
    assert refused.returncode == 2
    assert "badge/1" in refused.stderr


def test_tiles_no_larger_than_their_overlap_stop_the_start(tmp_path: Path) -> None:
    write_toy(tmp_path / "models", "badge")
    small = ServiceProcess(tmp_path, {"VEIL_MODELS__REPOSITORY": str(tmp_path / "models")})
    refused = small.run("serve")
    assert refused.returncode == 2
    assert "VEIL_DETECTION__OVERLAP" in refused.stderr
