"""The second stage's training: batches with fixed shares of plates and of what was taken for one."""

import copy
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.fit import Report, follow, save, set_rate
from training.places import Places
from training.second_stage import STEP, Judge, read_judge, sizes_of

QUOTA = (72, 40, 72, 72)
"""Of a batch: places of each of `Places.pools`."""
SMOOTH = 0.01
"""How sure the labels are not: some plates are not annotated."""
SIDES_FROM = 0.4
"""IoU from which a place teaches where the sides are."""
SIDES_WEIGHT = 3.0
FARTHEST = 0.6
DOUBTFUL = 0.85
"""Probability from which a verdict of another network against the label is believed."""
JUDGED_AT_ONCE = 512


@dataclass(frozen=True)
class SecondPlan:
    """How to train: `minutes` with warm-up and cosine."""

    minutes: float
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.02
    average: float = 0.999
    device: str = "cpu"
    seed: int = 5
    report_every: int = 200


def fit_second(places: Places, plan: SecondPlan, output: Path, report: Report, start: Path | None = None) -> int:
    """Trains on `places` and writes the averaged network to `output`; the number of steps.

    Raises ValueError if there are places of one kind only.
    """
    pools, quota = _usable(places)
    rng = np.random.default_rng(plan.seed)
    judge = (read_judge(start) if start else Judge.pretrained()).train().to(plan.device)
    judge.to(memory_format=torch.channels_last)
    average = copy.deepcopy(judge).eval()
    optimizer = torch.optim.AdamW(
        [each for each in judge.parameters() if each.requires_grad],
        plan.rate,
        betas=(0.9, 0.99),
        weight_decay=plan.decay,
    )
    began, step, sums = time.monotonic(), 0, torch.zeros(3)
    while (progress := (time.monotonic() - began) / 60 / plan.minutes) < 1:
        set_rate(optimizer, plan.rate, plan.warmup, step, progress)
        numbers = np.concatenate([rng.choice(pool, count) for pool, count in zip(pools, quota, strict=True)])
        sums += _step(judge, optimizer, places, numbers, rng, plan.device)
        step += 1
        follow(average, judge, min(plan.average, (1 + step) / (10 + step)))
        if step % plan.report_every == 0:
            entropy, sides, right = (sums / plan.report_every).tolist()
            report(f"step {step}, {progress:.0%}, entropy {entropy:.4f}, sides {sides:.4f}, right {right:.4f}")
            sums.zero_()
            save(average, output, plan=asdict(plan), steps=step)
    save(average, output, plan=asdict(plan), steps=step)
    return step


def doubtful(places: Places, checkpoint: Path, device: str = "cpu") -> NDArray[np.intp]:
    """Numbers of the hard others that the network of `checkpoint` takes for plates all the same.

    Many of these are plates that nobody annotated: a network that has not seen them often yet tells. But whoever
    annotated a plate would not overlook another one that touches it: what does is a mistake to be learned from.
    """
    judge, hard = read_judge(checkpoint).to(device), places.pools()[2]
    hard = hard[places.overlap[hard] == 0]
    sure = [hard[:0]]
    for numbers in np.array_split(hard, math.ceil(len(hard) / JUDGED_AT_ONCE)) if len(hard) else ():
        pixels = torch.from_numpy(places.pixels(numbers)).to(device).permute(0, 3, 1, 2).float()
        width, height = (torch.from_numpy(places.sides[numbers, k]).to(device) for k in (0, 1))
        with torch.no_grad():
            found = torch.sigmoid(judge(pixels, sizes_of(width, height))[:, 0]).cpu().numpy()
        sure.append(numbers[found > DOUBTFUL])
    return np.concatenate(sure)


def _usable(places: Places) -> tuple[list[NDArray[np.intp]], list[int]]:
    pools = places.pools()
    if not (len(pools[0]) + len(pools[1]) and len(pools[2]) + len(pools[3])):
        raise ValueError("there must be places with plates and places without")
    kept = [(pool, count) for pool, count in zip(pools, QUOTA, strict=True) if len(pool)]
    return [pool for pool, _ in kept], [count for _, count in kept]


def _step(
    judge: Judge,
    optimizer: torch.optim.Optimizer,
    places: Places,
    numbers: NDArray[np.intp],
    rng: np.random.Generator,
    device: str,
) -> Tensor:
    """One step of descent; (3,): cross-entropy, loss of the sides, share of right verdicts."""
    pixels = _varied(torch.from_numpy(places.pixels(numbers)).to(device), rng)
    width, height = (torch.from_numpy(places.sides[numbers, k]).to(device) for k in (0, 1))
    truth = torch.from_numpy(places.plates[numbers].astype(np.float32)).to(device)
    placed = torch.from_numpy(places.overlap[numbers] >= SIDES_FROM).to(device)
    offsets = torch.from_numpy(places.offsets[numbers]).to(device).clamp(-FARTHEST, FARTHEST)
    found = judge(pixels.contiguous(memory_format=torch.channels_last), sizes_of(width, height))
    entropy = functional.binary_cross_entropy_with_logits(found[:, 0], truth * (1 - 2 * SMOOTH) + SMOOTH)
    # Smooth L1 as in Fast R-CNN (Girshick, 2015, section 2.3).
    sides = functional.smooth_l1_loss(found[:, 1:] * STEP, offsets, beta=0.05, reduction="none").mean(1)
    sides = (sides * placed).sum() / placed.sum().clamp(min=1)
    optimizer.zero_grad(set_to_none=True)
    (entropy + SIDES_WEIGHT * sides).backward()
    nn.utils.clip_grad_norm_(judge.parameters(), 5.0)
    optimizer.step()
    right = ((found[:, 0] > 0) == (truth > 0)).float().mean()
    return torch.stack([entropy.detach(), sides.detach(), right]).cpu()


def _varied(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """The same places (n, HEIGHT, WIDTH, 3), as (n, 3, HEIGHT, WIDTH) float32 in 0..255, as others would see them.

    Moved and scaled a little, in another light and white balance, some in gray, some unsharp, some noisy.
    """
    n, device = len(pixels), pixels.device

    def drawn(*values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.stack(values, -1).astype(np.float32)).to(device)

    zoom, turn = np.exp(rng.normal(0, 0.08, (2, n))), rng.normal(0, 0.04, (2, n))
    shift = rng.normal(0, 0.06, (2, n))
    rows = [drawn(zoom[0], turn[0], shift[0]), drawn(turn[1], zoom[1], shift[1])]
    grid = functional.affine_grid(torch.stack(rows, 1), [n, 3, *pixels.shape[1:3]], align_corners=False)
    seen = functional.grid_sample(pixels.permute(0, 3, 1, 2).float(), grid, align_corners=False)
    unsharp = functional.avg_pool2d(seen, 3, 1, 1, count_include_pad=False)
    gray = seen.mean(1, keepdim=True)
    for other, share in ((unsharp, 0.25), (gray, 0.1)):
        seen = torch.where(drawn((rng.random(n) < share).astype(np.float64))[:, :, None, None] > 0, other, seen)
    gain = drawn(*(rng.uniform(0.6, 1.4, n) * rng.uniform(0.9, 1.1, (3, n))))[:, :, None, None]
    seen = seen * gain + drawn(rng.uniform(-30, 30, n))[:, :, None, None]
    noise = torch.randn(seen.shape, device=device) * drawn(rng.uniform(0, 10, n))[:, :, None, None]
    return torch.as_tensor((seen + noise).clamp(0, 255))
