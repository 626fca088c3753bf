"""The network: fully convolutional, one map at stride 4, of 3 × 3 convolutions with ReLU, channels multiples of 8."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

SHRINK = 1 / 64.0
"""Scale of the input (0..255), with OFFSET: about -2..2."""
OFFSET = -2.0
LEAST, MOST = -3.0, 6.0
"""Bounds of the logarithm of a distance in cells."""
OPSET = 17
"""Of every exported network."""
TRUNK = ("stem", "s1", "s2")
"""The first stages: what a short fine-tuning leaves as they are."""


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """Convolution, batch normalization and, with `relu`, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    ]  # fmt: skip
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al., 2015)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = conv(channels, channels), conv(channels, channels, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.b(self.a(x)))


class PlateNet(nn.Module):
    """(n, 3, h, w) normalized BGR, sides multiples of 32 → (n, 8, h/4, w/4): logit, then the logarithms of the
    distances left, top, right, bottom in cells; the last three channels only align the convolution.

    A feature pyramid (Lin et al., 2017) over five stages brings everything to one map.
    """

    def __init__(
        self,
        channels: tuple[int, int, int, int, int] = (16, 32, 64, 96, 128),
        blocks: tuple[int, int, int, int] = (1, 2, 2, 2),
        pyramid: int = 48,
        head: int = 32,
    ) -> None:
        super().__init__()
        a, b, c, d, e = channels
        self.stem = nn.Sequential(conv(3, a, stride=2), conv(a, b, stride=2))
        self.s1 = nn.Sequential(*[Residual(b) for _ in range(blocks[0])])
        self.s2 = nn.Sequential(conv(b, c, stride=2), *[Residual(c) for _ in range(blocks[1])])
        self.s3 = nn.Sequential(conv(c, d, stride=2), *[Residual(d) for _ in range(blocks[2])])
        self.s4 = nn.Sequential(conv(d, e, stride=2), *[Residual(e) for _ in range(blocks[3])])
        self.l4, self.l3 = conv(e, pyramid, 1, relu=False), conv(d, pyramid, 1, relu=False)
        self.l2, self.l1 = conv(c, pyramid, 1, relu=False), conv(b, head, 1, relu=False)
        self.f3, self.f2 = conv(pyramid, pyramid), conv(pyramid, head)
        self.f1, self.h = conv(head, head), conv(head, head)
        self.out = nn.Conv2d(head, 8, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        with torch.no_grad():  # one cell in a hundred positive, boxes of a plate's usual shape
            self.out.bias.copy_(torch.tensor([-4.6, 1.6, 0.7, 1.6, 0.7, 0, 0, 0]))

    def forward(self, x: Tensor) -> Tensor:
        first = self.s1(self.stem(x))
        second = self.s2(first)
        third = self.s3(second)
        p3 = self.f3(functional.relu(self.l3(third) + _doubled(self.l4(self.s4(third)))))
        p2 = self.f2(functional.relu(self.l2(second) + _doubled(p3)))
        p1 = self.f1(functional.relu(self.l1(first) + _doubled(p2)))
        return torch.as_tensor(self.out(self.h(p1)))


class Published(nn.Module):
    """As `service/models/platenet.py` takes it: BGR 0..255 in, `score` (n, 1, …) and `box` (n, 4, …, pixels) out."""

    def __init__(self, network: PlateNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        found = self.network(image * SHRINK + OFFSET)
        return torch.sigmoid(found[:, :1]), torch.exp(torch.clamp(found[:, 1:5], LEAST, MOST)) * 4.0


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def fold(module: nn.Module) -> None:
    """Folds each batch normalization into the convolution before it, in place; `module` must be in eval mode."""
    for child in module.children():
        if isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[1], nn.BatchNorm2d):
            child[0] = fuse_conv_bn_eval(child[0], child[1])
            child[1] = nn.Identity()
        else:
            fold(child)


def folded(weights: Mapping[str, Tensor]) -> PlateNet:
    """The network of a checkpoint without batch normalization, whether the checkpoint has it or not."""
    network = PlateNet().eval()
    if any(name.endswith("running_mean") for name in weights):
        network.load_state_dict(dict(weights))
        fold(network)
    else:
        fold(network)
        network.load_state_dict(dict(weights))
    return network


def read_checkpoint(path: Path) -> Mapping[str, Tensor]:
    """The averaged weights of a checkpoint. Raises what `torch.load` raises; no code in the file is run."""
    weights: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["ema"]
    return weights
