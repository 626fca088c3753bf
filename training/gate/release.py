"""From the gate's checkpoint to a model of the repository: ONNX in the contract, checksum, golden answers."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from service.golden import write_golden
from service.models.build import GATE_SOURCE
from service.models.catalog import Catalog
from service.policy import Shape
from service.settings import Settings
from training.gate.network import Gate, of_bytes, read_gate
from training.gate.tiles import SIDE, STRIDE, Tile
from training.network import OPSET

SLOTS = 256
"""Places that are given, those of the highest scores; a tile with more is searched as a whole."""
THRESHOLD = 0.5
"""Of every class: the classes' own limits are moved there by shifting their logits."""
LICENSE = "Apache-2.0"


@dataclass(frozen=True)
class Share:
    """What a limit on the logits of one class does to tiles that were not learned from.

    `kept`: of the tiles in which the detector finds something; `through`: of all.
    """

    limit: float
    kept: float
    through: float


def shares(
    checkpoint: Path, tiles: Sequence[Tile], thresholds: Mapping[str, float], limits: Sequence[float]
) -> dict[str, list[Share]]:
    """By class, what each of `limits` would do."""
    gate, found = read_gate(checkpoint), {}
    highest = np.array([_highest(gate, tile) for tile in tiles])
    for number, (name, threshold) in enumerate(thresholds.items()):
        shown = np.array([tile.found[name][1].max(initial=0) >= threshold for tile in tiles])
        through = [highest[:, number] >= limit for limit in limits]
        found[name] = [
            Share(limit, float(each[shown].mean()) if shown.any() else 1.0, float(each.mean()))
            for limit, each in zip(limits, through, strict=True)
        ]
    return found


def _highest(gate: Gate, tile: Tile) -> list[float]:
    with torch.no_grad():
        image = torch.from_numpy(tile.pixels()).permute(2, 0, 1)[None].float()
        return [float(v) for v in gate(image).amax((2, 3))[0]]


class _Published(nn.Module):
    """As the contract has it: uint8 tiles (n, SIDE, SIDE, 3) → boxes (n, k, 4), scores (n, k), labels (n, k)."""

    def __init__(self, gate: Gate, logits: Sequence[float]) -> None:
        super().__init__()
        self.gate = gate
        self.register_buffer("shift", torch.tensor(list(logits)).view(1, -1, 1, 1))

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heat = torch.sigmoid(self.gate(tiles.permute(0, 3, 1, 2).float()) - self.shift)
        across = SIDE // STRIDE
        scores, cells = torch.topk(heat.flatten(1), SLOTS, dim=1)
        labels = torch.div(cells, across**2, rounding_mode="floor")
        x, y = cells % across * STRIDE, torch.div(cells, across, rounding_mode="floor") % across * STRIDE
        boxes = torch.stack([x, y, x + STRIDE, y + STRIDE], dim=2).float()
        return boxes, scores, labels.int()


def release(
    checkpoint: Path, limits: Mapping[str, float], gates: Sequence[str], repository: Path, version: str
) -> Path:
    """Puts the gate of `checkpoint` into `repository`, in front of the detectors `gates`. Returns the model's file.

    `limits`: by class, in the network's order, the logit from which a tile is let through.
    """
    folder = repository / "gate"
    source, file = folder / GATE_SOURCE, folder / version / "model.onnx"
    for each in (source, file):
        each.parent.mkdir(parents=True, exist_ok=True)
    published = _Published(of_bytes(read_gate(checkpoint)), list(limits.values())).eval()
    names = ["boxes", "scores", "labels"]
    torch.onnx.export(
        published,
        (torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8),),
        str(source),
        input_names=["tiles"],
        output_names=names,
        dynamic_axes={name: {0: "batch"} for name in ("tiles", *names)},
        opset_version=OPSET,
        dynamo=False,
    )
    _fix_shapes(source)
    shutil.copyfile(source, file)
    description = {
        "name": "gate",
        "version": version,
        "classes": list(limits),
        "tile_height": SIDE,
        "tile_width": SIDE,
        "max_detections": SLOTS,
        "max_batch": 8,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "license": LICENSE,
        "threshold": THRESHOLD,
        "margin": 0,
        "shape": Shape.BOX.value,
        "gates": list(gates),
    }
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    asyncio.run(write_golden(Settings.load({}), Catalog.read(repository)))
    return file


def _fix_shapes(file: Path) -> None:
    """States the sizes of the outputs, which the export leaves open."""
    model = onnx.load(str(file))
    for output in model.graph.output:
        for place, value in zip(output.type.tensor_type.shape.dim[1:], (SLOTS, 4), strict=False):
            place.dim_value = value
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(file))
