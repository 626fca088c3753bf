"""The second stage's network: one place at a time, cut out at one size, is it a plate and where are its sides.

Features from ImageNet (`training/mobile.py`), and two layers of its own behind them.
"""

from pathlib import Path
from typing import Self

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from service.models.second_stage import HEIGHT, JUDGMENT, PATCHES, SIZES, UNIT, WIDTH
from training.mobile import (
    CHANNELS,
    OFFSET,
    SHRINK,
    STRIDE,
    evenly_padded,
    features,
    imagenet,
    load_pretrained,
    strides_padded_behind,
)
from training.network import OPSET, read_checkpoint

FROZEN = 7
"""Modules of the features that are not trained: the stem and two of the five stages."""
STEP = 0.1
"""Widths or heights of the box per unit of the four outputs behind the logit."""


class Judge(nn.Module):
    """(n, 3, HEIGHT, WIDTH) RGB in 0..255 and (n, 2) logarithms of the box's width and height → (n, 5).

    The output: logit, then offsets of the sides x1, y1, x2, y2 in `STEP` widths and heights. The latter are there to
    learn by: the detector does not move its boxes, which are as good (decision 18).

    The first FROZEN modules of the features stay as they were learned on ImageNet: edges and colors are the same
    everywhere, and at their size they take most of the time of a training.
    """

    def __init__(self, hidden: int = 128) -> None:
        super().__init__()
        self.body = features()
        self.fc = nn.Linear(CHANNELS * (HEIGHT // STRIDE) * (WIDTH // STRIDE) + 2, hidden)
        self.out = nn.Linear(hidden, 5)
        self.dropout = nn.Dropout(0.3)
        self.body[:FROZEN].requires_grad_(False)

    @classmethod
    def pretrained(cls) -> Self:
        """One that knows ImageNet. Raises what `load_pretrained` raises, ModuleNotFoundError without the package."""
        judge = cls()
        load_pretrained(judge.body, imagenet())
        return judge

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.body[:FROZEN].eval()
        return self

    def forward(self, patches: Tensor, sizes: Tensor) -> Tensor:
        seen = self.body[FROZEN:](self.body[:FROZEN](patches * SHRINK + OFFSET)).flatten(1)
        return torch.as_tensor(self.out(self.dropout(functional.relu(self.fc(torch.cat([seen, sizes], 1))))))


def sizes_of(width: Tensor, height: Tensor) -> Tensor:
    """(n, 2) as the network takes them, of sides in pixels of the tile (n,)."""
    return torch.log(torch.stack([width, height], 1).clamp(min=1.0) / UNIT)


class _Published(nn.Module):
    """As `service/models/second_stage.py` takes it: the logit alone."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge

    def forward(self, patches: Tensor, sizes: Tensor) -> Tensor:
        return torch.as_tensor(self.judge(patches, sizes)[:, :1])


def read_judge(checkpoint: Path) -> Judge:
    """The averaged network of a checkpoint. Raises what `torch.load` raises; no code in the file is run."""
    judge = Judge()
    judge.load_state_dict(dict(read_checkpoint(checkpoint)))
    return judge.eval()


def judge_onnx(checkpoint: Path, target: Path) -> None:
    """Writes the network of `checkpoint`, normalization folded, as `target`; the number of places is free."""
    places = {0: "places"}
    torch.onnx.export(
        evenly_padded(_Published(read_judge(checkpoint)).eval()),
        (torch.zeros(2, 3, HEIGHT, WIDTH), torch.zeros(2, 2)),
        str(target),
        input_names=[PATCHES, SIZES],
        output_names=[JUDGMENT],
        dynamic_axes={PATCHES: places, SIZES: places, JUDGMENT: places},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(target)
    strides_padded_behind(model)
    onnx.save(model, target)
