"""The training loop: AdamW, warm-up and cosine over a time or a number of steps, moving average, checkpoints."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from training.loss import loss
from training.network import OFFSET, SHRINK, TRUNK, ContextNet, PlateNet, folded, network_of, read_checkpoint
from training.samples import Batch


@dataclass(frozen=True)
class Plan:
    """How to train. It ends after `minutes` or `steps`, whichever is reached first; the cosine follows both."""

    minutes: float = math.inf
    steps: int = 1 << 62
    rate: float = 2e-3
    warmup: int = 200
    decay: float = 0.02
    average: float = 0.998
    fine: bool = False
    """Fine-tuning: normalization folded, the first stages as they are. For short runs from good weights."""
    context: bool = False
    """From nothing: the network with context, from ImageNet's features."""
    device: str = "cpu"
    bfloat16: bool = False
    """Autocast: twice as fast where the machine multiplies bfloat16 (GPUs, AVX512-BF16), ten times slower elsewhere."""
    save_every_s: float = 120.0
    report_every: int = 50


Report = Callable[[str], None]


def fit(batches: Iterator[Batch], plan: Plan, output: Path, report: Report, start: Path | None = None) -> int:
    """Trains on `batches`, from the checkpoint `start` or from nothing; writes checkpoints to `output`.

    Returns the number of steps. Stopping it in between costs what was learned since the last checkpoint, no more.
    """
    network = _prepare(plan, start)
    average = copy.deepcopy(network).eval()
    optimizer = _optimizer(network, plan)
    began = saved = time.monotonic()
    step, seen, sums = 0, 0, torch.zeros(3)
    while True:
        progress = max((time.monotonic() - began) / 60 / plan.minutes, step / plan.steps)
        if progress >= 1:
            break
        rate = set_rate(optimizer, plan.rate, plan.warmup, step, progress)
        batch = next(batches)
        sums += _step(network, optimizer, batch, plan)
        step, seen = step + 1, seen + len(batch.pixels)
        follow(average, network, min(plan.average, (1 + step) / (10 + step)))
        if step % plan.report_every == 0:
            cells, boxes, overlap = (sums / plan.report_every).tolist()
            report(f"step {step}, {seen} crops, {seen / (time.monotonic() - began):.1f} crops/s, rate {rate:.5f}, "
                   f"cells {cells:.3f}, boxes {boxes:.3f}, IoU {overlap:.3f}")  # fmt: skip
            sums.zero_()
        if time.monotonic() - saved > plan.save_every_s:
            saved = time.monotonic()
            save(average, output, plan=asdict(plan), steps=step, crops=seen)
    save(average, output, plan=asdict(plan), steps=step, crops=seen)
    return step


def _prepare(plan: Plan, start: Path | None) -> PlateNet:
    if plan.fine:
        if start is None:
            raise ValueError("fine-tuning needs a checkpoint to start from")
        network = folded(read_checkpoint(start))
        for name in TRUNK:
            getattr(network, name).requires_grad_(False)
    else:
        network = ContextNet.pretrained() if plan.context and start is None else PlateNet()
        if start is not None:
            network = network_of(weights := read_checkpoint(start))
            network.load_state_dict(dict(weights))
    network.train().to(plan.device)
    network.to(memory_format=torch.channels_last)
    return network


def _optimizer(network: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    learned = [each for each in network.parameters() if each.requires_grad]
    groups = [
        {"params": [each for each in learned if each.ndim > 1], "weight_decay": plan.decay},
        {"params": [each for each in learned if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, plan.rate, betas=(0.9, 0.99))


def _step(network: PlateNet, optimizer: torch.optim.Optimizer, batch: Batch, plan: Plan) -> Tensor:
    """One step of descent; (3,): loss of the cells, loss of the boxes, IoU."""
    pixels = torch.from_numpy(batch.pixels).to(plan.device, non_blocking=True).permute(0, 3, 1, 2)
    pixels = pixels.flip(1) if network.rgb else pixels
    image = (pixels.float() * SHRINK + OFFSET).contiguous(memory_format=torch.channels_last)
    arrays = (batch.heat, batch.distances, batch.weight, batch.taught)
    targets = (torch.from_numpy(each).to(plan.device) for each in arrays if each is not None)
    with torch.autocast(torch.device(plan.device).type, torch.bfloat16, enabled=plan.bfloat16):
        found = network(image)
    result = loss(found, *targets)
    optimizer.zero_grad(set_to_none=True)
    result.total.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 10.0)
    optimizer.step()
    return torch.stack([result.cells, result.boxes, result.overlap]).cpu()


def set_rate(optimizer: torch.optim.Optimizer, highest: float, warmup: int, step: int, progress: float) -> float:
    """Sets and gives the learning rate: linear over the first `warmup` steps, then a cosine over `progress`, 0 to 1."""
    rate = highest * min(1.0, (step + 1) / warmup) * (0.01 + 0.495 * (1 + math.cos(math.pi * progress)))
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Moves the exponential average towards the network."""
    with torch.no_grad():
        for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)


def save(average: nn.Module, output: Path, **facts: object) -> None:
    """Writes the averaged weights and `facts`, beside and renamed: a checkpoint of that name is always whole."""
    partial = output.with_suffix(".partial")
    weights = {name: value.cpu() for name, value in average.state_dict().items()}
    torch.save({"ema": weights, **facts}, partial)
    partial.replace(output)
