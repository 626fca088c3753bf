"""Focal cross-entropy on the cells and generalized IoU on the boxes of the positive ones."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.network import LEAST, MOST
from training.targets import IGNORED, POSITIVE, STRIDE

NEGATIVES = 0.35
"""Weight of a cell without a plate."""


@dataclass(frozen=True)
class Loss:
    """`total` to descend; the parts, and the mean IoU of the positive cells, to watch. Scalars."""

    total: Tensor
    cells: Tensor
    boxes: Tensor
    overlap: Tensor


def loss(found: Tensor, heat: Tensor, distances: Tensor, weight: Tensor, taught: Tensor | None = None) -> Loss:
    """Of the network's output (n, 8, s, s) against a batch's targets (`training.samples.Batch`, as tensors).

    Focal loss: Lin et al., 2017 (γ = 2). GIoU: Rezatofighi et al., 2019. A plate counts by the square root of its
    cells, so that large ones do not drown small ones.
    """
    found, weight = found.float(), weight.float()
    positive, counted = heat == POSITIVE, heat != IGNORED
    truth = positive.float()
    if taught is not None:
        truth = torch.where(counted, (truth + taught.float()) / 2, taught.float())
        counted = torch.ones_like(counted)
    entropy = functional.binary_cross_entropy_with_logits(found[:, 0], truth, reduction="none")
    chance = torch.sigmoid(found[:, 0])
    missing = (chance - truth).abs()
    importance = torch.where(positive, weight.clamp(min=1e-6).sqrt(), torch.full_like(weight, NEGATIVES))
    share = torch.where(positive, weight, torch.zeros_like(weight))
    plates = share.sum().clamp(min=1.0)
    cells = (entropy * missing**2 * importance * counted).sum() / plates
    # Every box is computed and the positive ones weighted: no shape depends on data, which an accelerator likes.
    guess = torch.exp(found[:, 1:5].clamp(LEAST, MOST)) * STRIDE
    goal = distances.float()
    if taught is not None:  # a peak may lie beside the middle
        share = share + torch.where(heat == IGNORED, weight, torch.zeros_like(weight)) * taught.float()
    low, high = torch.minimum(guess, goal), torch.maximum(guess, goal)
    common = (low[:, 0] + low[:, 2]).clamp(min=0) * (low[:, 1] + low[:, 3]).clamp(min=0)
    union = _area(guess) + _area(goal) - common
    hull = (high[:, 0] + high[:, 2]) * (high[:, 1] + high[:, 3])
    iou = common / (union + 1e-6)
    total_share = share.sum().clamp(min=1e-6)
    boxes = ((1 - iou + (hull - union) / (hull + 1e-6)) * share).sum() / total_share
    overlap = (iou * share).sum() / total_share
    return Loss(cells + boxes, cells.detach(), boxes.detach(), overlap.detach())


def _area(distances: Tensor) -> Tensor:
    return (distances[:, 0] + distances[:, 2]).clamp(min=0) * (distances[:, 1] + distances[:, 3]).clamp(min=0)
