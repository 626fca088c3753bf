"""The gate in a running service: named in receipts, gone where it has no say, a reason not to start if broken."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.models.catalog import Catalog
from tests.e2e.setups import encoded, portrait
from tests.e2e.test_load_and_leaving import metric, post, receipts
from tests.service_process import ServiceProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def wide() -> bytes:
    """The portrait in the corner of a picture of 3200 × 2400, the rest of which is blurred noise."""
    noise = np.random.default_rng(3).integers(40, 200, (75, 100, 3), np.uint8)
    pixels = np.repeat(np.repeat(noise, 32, axis=0), 32, axis=1)
    pixels[:512, :512] = portrait()
    return encoded(pixels, "JPEG")


def detected(service: ServiceProcess, **options: str) -> Any:
    answer = httpx.post(
        f"{service.url}/v1/detect",
        content=wide(),
        headers={"Content-Type": "image/jpeg"},
        params=options,
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["detections"]


def faces(found: Any) -> list[Any]:
    return [each for each in found if each["class"] == "face"]


def shared(one: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes, x1, y1, x2, y2."""
    x1, y1 = np.maximum(one[:2], other[:2])
    x2, y2 = np.minimum(one[2:], other[2:])
    both = max(x2 - x1, 0) * max(y2 - y1, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(both / (sum(areas) - both))


def named(service: ServiceProcess, reference: str) -> list[str]:
    (receipt,) = receipts(service, source_ref=reference)
    return [each["name"] for each in receipt["models"]]


def test_what_it_lets_through_is_found_as_without_it(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as service:
        found = detected(service, source_ref="gated")
        assert post(service, wide(), source_ref="anonymized").status_code == 200
        assert (
            post(service, wide(), source_ref="lower", **{"threshold.face": "0.15"}, classes="face").status_code == 200
        )
        assert named(service, "anonymized") == ["face", "plate", "gate"]
        assert named(service, "lower") == ["face"], "whoever asks for less sure faces gets every tile searched"
        assert metric(service, 'veil_model_proven{model="gate"}') == 1
    (tmp_path / "without").mkdir()
    with ServiceProcess(tmp_path / "without", {"VEIL_DETECTION__GATE": "false"}) as service:
        # What looks like a plate in blurred noise is left out by the gate, and is no loss. What surrounds a face in the
        # part that is searched moves the edges of its box a little.
        ((gated,), (ungated,)) = faces(found), faces(detected(service))
        assert gated["score"] == pytest.approx(ungated["score"], abs=0.02)
        assert shared(gated["box"], ungated["box"]) > 0.9
        assert post(service, wide(), source_ref="ungated").status_code == 200
        assert named(service, "ungated") == ["face", "plate"]


def test_a_damaged_gate_is_a_reason_not_to_start(catalog: Catalog, tmp_path: Path) -> None:
    shutil.copytree(catalog.root, tmp_path / "models", ignore=shutil.ignore_patterns("source"))
    own = Catalog.read(tmp_path / "models")
    assert own.gate is not None
    with own.file(own.gate).open("ab") as file:
        file.write(b"\0")
    service = ServiceProcess(tmp_path, {"VEIL_MODELS__REPOSITORY": str(own.root)})
    ended = service.run("serve")
    assert ended.returncode != 0
    assert f"{own.gate.label}: the file's SHA-256 is" in ended.stderr
