"""The gate's network: one map at stride 16 for each class, of separable convolutions with ReLU.

A tile costs it about a twelfth of what the detectors cost.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.network import OFFSET, SHRINK, conv, read_checkpoint

PATCH = 4
"""Sides of the squares, beside each other, that the first convolution sees, as a vision transformer's does (Dosovitskiy
et al., 2021): at full and at half resolution a network for processors spends most of its time on moving numbers."""


class Separable(nn.Module):
    """A depthwise and a pointwise convolution (Howard et al., 2017), beside a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.shortcut = inputs == outputs and stride == 1
        self.depth = nn.Sequential(
            nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False), nn.BatchNorm2d(inputs)
        )
        self.point = conv(inputs, outputs, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.point(self.depth(x))
        return functional.relu(x + y if self.shortcut else y)


class Gate(nn.Module):
    """(n, 3, h, w) RGB in 0..255, sides multiples of 32 → (n, classes, h/16, w/16) logits.

    A map at stride 32 is added to it, and one of finer detail: small objects, and what stands around them.
    """

    def __init__(self, classes: int = 2, channels: tuple[int, int, int] = (32, 64, 96)) -> None:
        super().__init__()
        self.scaled = True
        b, c, d = channels
        self.fine = nn.Sequential(
            nn.Conv2d(3, b, PATCH, PATCH, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True),
            Separable(b, c, 3, 2), *[Separable(c, c) for _ in range(3)],
        )  # fmt: skip
        self.middle = nn.Sequential(Separable(c, d, 3, 2), *[Separable(d, d, 5) for _ in range(3)])
        self.coarse = nn.Sequential(Separable(d, d, 3, 2), *[Separable(d, d, 5) for _ in range(2)])
        self.detail = Separable(c, d, 3, 2)
        self.join = Separable(d, d)
        self.out = nn.Conv2d(d, classes, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.constant_(self.out.bias, -4.6)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x * SHRINK + OFFSET if self.scaled else x)
        middle = self.middle(fine)
        around = functional.interpolate(self.coarse(middle), scale_factor=2.0, mode="nearest")
        return torch.as_tensor(self.out(self.join(middle + around + self.detail(fine))))


def read_gate(checkpoint: Path) -> Gate:
    """The averaged network of a checkpoint. Raises what `torch.load` raises; no code in the file is run."""
    gate = Gate()
    gate.load_state_dict(dict(read_checkpoint(checkpoint)))
    return gate.eval()


def of_bytes(gate: Gate) -> Gate:
    """`gate` for pictures as they are, with the scaling of `Gate.forward` in its first convolution, in place.

    It has no padding, to which another scaling would be another color.
    """
    first = gate.fine[0]
    assert isinstance(first, nn.Conv2d)
    with torch.no_grad():
        first.bias = nn.Parameter(first.weight.sum((1, 2, 3)) * OFFSET)
        first.weight *= SHRINK
    gate.scaled = False
    return gate
