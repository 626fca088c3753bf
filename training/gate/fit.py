"""The gate's training: cells in whose tile a detector finds something there, against all others."""

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.fit import Report, follow, save, set_rate
from training.gate.crops import batches
from training.gate.network import Gate, read_gate
from training.gate.tiles import Tile


@dataclass(frozen=True)
class GatePlan:
    """How to train: `minutes` with warm-up and cosine. `thresholds`: of each class's detector, in the map's order."""

    minutes: float
    thresholds: Mapping[str, float]
    batch: int = 12
    rate: float = 3e-3
    warmup: int = 200
    decay: float = 0.02
    average: float = 0.998
    device: str = "cpu"
    seed: int = 3
    report_every: int = 50
    save_every_s: float = 120.0


def fit_gate(tiles: Sequence[Tile], plan: GatePlan, output: Path, report: Report, start: Path | None = None) -> int:
    """Trains on `tiles` and writes the averaged network to `output`; the number of steps."""
    gate = (read_gate(start) if start else Gate(len(plan.thresholds))).train().to(plan.device)
    gate.to(memory_format=torch.channels_last)
    average = copy.deepcopy(gate).eval()
    optimizer = torch.optim.AdamW(gate.parameters(), plan.rate, betas=(0.9, 0.99), weight_decay=plan.decay)
    began = saved = time.monotonic()
    step, total = 0, 0.0
    stream = batches(tiles, plan.thresholds, plan.batch, plan.seed)
    while (progress := (time.monotonic() - began) / 60 / plan.minutes) < 1:
        set_rate(optimizer, plan.rate, plan.warmup, step, progress)
        pixels, heat = next(stream)
        image = torch.from_numpy(pixels).to(plan.device).permute(0, 3, 1, 2).float()
        wanted = torch.from_numpy(heat).to(plan.device)
        loss = gate_loss(gate(image.contiguous(memory_format=torch.channels_last)), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(gate.parameters(), 10.0)
        optimizer.step()
        step, total = step + 1, total + float(loss.detach())
        follow(average, gate, min(plan.average, (1 + step) / (10 + step)))
        if step % plan.report_every == 0:
            report(f"step {step}, {progress:.0%}, loss {total / plan.report_every:.4f}")
            total = 0.0
        if time.monotonic() - saved > plan.save_every_s:
            saved = time.monotonic()
            save(average, output, plan=asdict(plan), steps=step)
    save(average, output, plan=asdict(plan), steps=step)
    return step


def gate_loss(found: Tensor, heat: Tensor) -> Tensor:
    """Focal loss (Lin et al., 2017) of logits against `heat` of the same shape: 1, 0, or negative for no matter.

    Per object, as there are thousands of cells without one for each with.
    """
    probability = torch.sigmoid(found)
    positive, negative = (heat == 1).float(), (heat == 0).float()
    let_through = positive * (1 - probability) ** 2 * functional.logsigmoid(found)
    shut_out = negative * probability**2 * functional.logsigmoid(-found)
    return -(2 * let_through + shut_out).sum() / positive.sum().clamp(min=len(found))
