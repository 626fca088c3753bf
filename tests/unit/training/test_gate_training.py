"""The gate's network: it learns, and becomes a model that stands before the detectors. Needs PyTorch."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is installed with requirements/training.txt only")
pytest.importorskip("onnx")

import torch

from service.detection.embedded import OnnxDetector
from service.models.catalog import Catalog
from service.models.verify import verify_files
from tests.toy import write_toy
from training.gate.fit import GatePlan, fit_gate, gate_loss
from training.gate.release import THRESHOLD, release, shares
from training.gate.tiles import SIDE, Tile
from training.photographs import boxes

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")

THRESHOLDS = {"face": 0.2, "plate": 0.5}


def tile(rng: np.random.Generator, name: str | None) -> Tile:
    """Noise, with a bright disk for a face or a bright square for a plate, or neither."""
    pixels = rng.integers(40, 90, (SIDE, SIDE, 3), np.uint8)
    found = {each: (boxes([]), np.float32([])) for each in THRESHOLDS}
    if name is not None:
        x, y = (int(v) for v in rng.integers(200, 400, 2))
        if name == "face":
            cv2.circle(pixels, (x, y), 20, (250, 60, 60), -1)
        else:
            cv2.rectangle(pixels, (x - 20, y - 20), (x + 20, y + 20), (60, 60, 250), -1)
        found[name] = boxes([[x - 20, y - 20, x + 20, y + 20]]), np.float32([0.9])
    done, jpeg = cv2.imencode(".jpg", pixels)
    assert done
    return Tile(jpeg.tobytes(), found)


def test_it_learns_what_to_let_through_and_stands_before_the_detectors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng, checkpoint = np.random.default_rng(4), tmp_path / "gate.pt"
    tiles = [tile(rng, name) for name in ("face", "plate", None) for _ in range(8)]
    plan = GatePlan(0.75, THRESHOLDS, batch=4, warmup=5, average=0.9, report_every=1)
    lines: list[str] = []
    assert fit_gate(tiles, plan, checkpoint, lines.append) > 5
    assert lines
    found = shares(checkpoint, tiles, THRESHOLDS, [k / 10 for k in range(-60, 60)])
    chosen = {name: max(each.limit for each in rows if each.kept == 1) for name, rows in found.items()}
    for name, rows in found.items():
        assert rows[0].kept == rows[0].through == 1
        assert next(each.through for each in rows if each.limit == chosen[name]) < 0.5

    for name in THRESHOLDS:
        write_toy(tmp_path / "models", name, side=SIDE, spec={"tile_width": SIDE, "tile_height": SIDE})
    file = release(checkpoint, chosen, ["face/1", "plate/1"], tmp_path / "models", "1")
    catalog = Catalog.read(tmp_path / "models")
    gate = catalog.gate
    assert gate is not None
    assert (gate.label, gate.classes, gate.gates) == ("gate/1", ("face", "plate"), ("face/1", "plate/1"))
    assert verify_files(catalog) == []
    asked = np.stack([each.pixels() for each in (tiles[0], tiles[8], tiles[16])])
    with ThreadPoolExecutor(1) as pool:
        answer = asyncio.run(OnnxDetector(gate, file, pool=pool).detect(asked))
    assert answer.labels is not None
    through = [set(of[scores >= THRESHOLD].tolist()) for of, scores in zip(answer.labels, answer.scores, strict=True)]
    assert 0 in through[0]
    assert 1 in through[1]
    x1, y1, x2, y2 = answer.boxes[0, 0]
    assert (x2 - x1, y2 - y1) == (16, 16)
    red = asked[0].astype(int)[int(y1) : int(y2), int(x1) : int(x2)]
    assert (red[..., 0] - red[..., 2] > 100).any() or (red[..., 2] - red[..., 0] > 100).any()


def test_what_may_be_either_costs_nothing() -> None:
    found = torch.tensor([[[[5.0, -5.0, 0.0]]]])
    right = gate_loss(found, torch.tensor([[[[1.0, 0.0, -1.0]]]]))
    wrong = gate_loss(found, torch.tensor([[[[0.0, 1.0, -1.0]]]]))
    either = gate_loss(found, torch.tensor([[[[-1.0, -1.0, -1.0]]]]))
    assert either == 0
    assert right < 0.01 < wrong
