"""The networks that propose: fully convolutional, one map at stride 4. One sees details, the other has context, too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training import mobile

SHRINK = 1 / 64.0
"""Scale of the input (0..255), with OFFSET: about -2..2."""
OFFSET = -2.0
LEAST, MOST = -3.0, 6.0
"""Bounds of the logarithm of a distance in cells."""
OPSET = 17
"""Of every exported network."""
TRUNK = ("stem", "s1", "s2")
"""The first stages: what a short fine-tuning leaves as they are."""
SEEN = 7
"""Modules of the context up to its second stage, which stay as they were learned on ImageNet."""
NEAR = SEEN + 2
"""Modules of the context up to its third stage."""


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

    A feature pyramid (Lin et al., 2017) over stages of 3 × 3 convolutions with ReLU brings everything to one map.
    """

    rgb = False
    """The order of colors that it takes."""

    def __init__(
        self,
        channels: tuple[int, int, int] = (16, 32, 64),
        blocks: tuple[int, int] = (1, 2),
        pyramid: int = 48,
        head: int = 32,
    ) -> None:
        super().__init__()
        a, b, c = channels
        self.stem = nn.Sequential(conv(3, a, stride=2), conv(a, b, stride=2))
        self.s1 = nn.Sequential(*[Residual(b) for _ in range(blocks[0])])
        self.s2 = nn.Sequential(conv(b, c, stride=2), *[Residual(c) for _ in range(blocks[1])])
        near, far = self._add_coarse_stages(c)
        self.l4, self.l3 = conv(far, pyramid, 1, relu=False), conv(near, pyramid, 1, relu=False)
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
        near, far = self._coarse(x, second)
        p3 = self.f3(functional.relu(self.l3(near) + _doubled(self.l4(far))))
        p2 = self.f2(functional.relu(self.l2(second) + _doubled(p3)))
        p1 = self.f1(functional.relu(self.l1(first) + _doubled(p2)))
        found: Tensor = self.out(self.h(p1))
        return found

    def _add_coarse_stages(self, inputs: int, /) -> tuple[int, int]:
        """Adds what sees at strides 16 and 32; their channels."""
        d, e = 96, 128
        self.s3 = nn.Sequential(conv(inputs, d, stride=2), Residual(d), Residual(d))
        self.s4 = nn.Sequential(conv(d, e, stride=2), Residual(e), Residual(e))
        return d, e

    def _coarse(self, _: Tensor, second: Tensor, /) -> tuple[Tensor, Tensor]:
        """What is seen at strides 16 and 32 of the picture, or of the map at stride 8."""
        third = self.s3(second)
        return third, self.s4(third)


class ContextNet(PlateNet):
    """The same for RGB, with EfficientNet-Lite0 at strides 16 and 32, which is shown the picture at half its size.

    What stands around a plate cannot be learned from some thousand photographs, and does not need every pixel.
    """

    rgb = True

    @classmethod
    def pretrained(cls) -> Self:
        """One that knows ImageNet. Raises what `load_pretrained` raises, ModuleNotFoundError without the package."""
        network = cls()
        mobile.load_pretrained(network.context, mobile.imagenet())
        return network

    def train(self, mode: bool = True) -> Self:
        """The context keeps the statistics of ImageNet: those of a few crops would be worse."""
        super().train(mode)
        self.context.eval()
        return self

    def _add_coarse_stages(self, _: int, /) -> tuple[int, int]:
        self.context = mobile.features()
        self.context[:SEEN].requires_grad_(False)
        return mobile.STAGES[2][-1], mobile.CHANNELS

    def _coarse(self, x: Tensor, _: Tensor, /) -> tuple[Tensor, Tensor]:
        seen = (functional.avg_pool2d(x, 2) - OFFSET) * (mobile.SHRINK / SHRINK) + mobile.OFFSET
        near = self.context[SEEN:NEAR](self.context[:SEEN](seen))
        return near, self.context[NEAR:](near)


class Published(nn.Module):
    """As `service/models/platenet.py` takes it: colors 0..255 in, `score` (n, 1, …) and `box` (n, 4, …, pixels) out."""

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
        if isinstance(child, nn.Sequential):
            for k in range(len(child) - 1):
                if isinstance(child[k], nn.Conv2d) and isinstance(child[k + 1], nn.BatchNorm2d):
                    child[k] = fuse_conv_bn_eval(child[k], child[k + 1])
                    child[k + 1] = nn.Identity()
        fold(child)


def network_of(weights: Mapping[str, Tensor]) -> PlateNet:
    """The kind of network that a checkpoint is of, with weights of its own."""
    return ContextNet() if any(name.startswith("context.") for name in weights) else PlateNet()


def folded(weights: Mapping[str, Tensor]) -> PlateNet:
    """The network of a checkpoint without batch normalization, whether the checkpoint has it or not."""
    network = network_of(weights).eval()
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
