"""Channels of equal range, so that 8 bits for a whole tensor are enough for each of its channels.

"Data-Free Quantization Through Weight Equalization and Bias Correction" (Nagel et al., 2019), section 4.1: behind a
ReLU or nothing, a channel may be divided by any positive number if what reads it is multiplied by it. The graph
computes the same. How far ranges are brought together is weighed as in "SmoothQuant" (Xiao et al., 2022), section 4:
what is taken from the activations is a burden to the weights.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

Given = npt.NDArray[np.generic]
"""What a model's one input takes, a batch of one."""
Scales = npt.NDArray[np.float32]
"""(channels,), in (0, 1]: by which a channel's values are divided."""
Ends = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Lowest and highest values."""

HOMOGENEOUS = ("Relu", "Add", "MaxPool", "Resize")
"""Operators that may lie between convolutions: a channel multiplied before is multiplied behind."""
SHARE = 0.7
"""Exponent: 0 leaves ranges as they are, 1 makes them equal."""
LEAST = 1e-3
"""Of the widest channel's range: narrower channels are treated as if they were as wide."""


@dataclass(frozen=True)
class Group:
    """Tensors whose channels can only be scaled together; the name is that of the first one computed."""

    name: str
    tensors: Sequence[str]
    producers: Sequence[NodeProto]
    consumers: Sequence[NodeProto]


def groups(graph: GraphProto) -> list[Group]:
    """What can be equalized: everything between convolutions that nothing else makes or reads."""
    together = _Together()
    fixed = {each.name for each in (*graph.input, *graph.output, *graph.initializer)}
    for node in graph.node:
        if node.op_type in HOMOGENEOUS:
            for name in node.input if node.op_type == "Add" else node.input[:1]:
                together.join(name, node.output[0])
        elif not _scalable(node, graph):
            fixed.update(_touched(node))
    shut = {together.root(name) for name in fixed}
    tensors: dict[str, list[str]] = {}
    producers: dict[str, list[NodeProto]] = {}
    consumers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.output:
            tensors.setdefault(together.root(name), []).append(name)
        if _scalable(node, graph):
            producers.setdefault(together.root(node.output[0]), []).append(node)
            consumers.setdefault(together.root(node.input[0]), []).append(node)
    return [
        Group(tensors[root][0], tensors[root], made, consumers[root])
        for root, made in producers.items()
        if root in consumers and root not in shut
    ]


def scales(model: ModelProto, shown: Sequence[Given]) -> dict[str, Scales]:
    """By group of `model`: the scales for how far channels reach on what is `shown`."""
    found, every = {}, groups(model.graph)
    ends = extremes(model, [name for group in every for name in group.tensors], shown, (2, 3))
    for group in every:
        reach = np.max([np.maximum(high, -low) for low, high in (ends[name] for name in group.tensors)], axis=0)
        share = np.maximum(reach / max(float(reach.max()), 1e-12), LEAST)
        found[group.name] = (share**SHARE).astype(np.float32)
    return found


def equalize(model: ModelProto, by_group: Mapping[str, Scales]) -> None:
    """Scales each group of `model` in place. Raises KeyError if one has no scales, ValueError if they do not fit."""
    weights = {each.name: each for each in model.graph.initializer}

    def change(name: str, factor: npt.NDArray[np.float32], axis: int) -> None:
        old = numpy_helper.to_array(weights[name])
        if factor.size != old.shape[axis]:
            raise ValueError(f"{name} has {old.shape[axis]} channels, its scales are for {factor.size}")
        shape = [1] * old.ndim
        shape[axis] = -1
        new = (old * factor.reshape(shape)).astype(np.float32)
        weights[name].CopyFrom(numpy_helper.from_array(new, name))

    for group in groups(model.graph):
        factor = by_group[group.name]
        for node in group.producers:
            for name in node.input[1:]:
                change(name, np.reciprocal(factor), 0)
        for node in group.consumers:
            change(node.input[1], factor, 0 if _group_size(node) > 1 else 1)


def extremes(model: ModelProto, names: Sequence[str], shown: Sequence[Given], over: tuple[int, ...]) -> dict[str, Ends]:
    """Lowest and highest values of the tensors `names` (1, channels, height, width) on what is `shown`.

    `over`: the axes to gather; what is left of them is flat.
    """
    import onnxruntime as ort

    probe = ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = ort.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    found: dict[str, Ends] = {}
    for each in shown:
        for name, values in zip(names, session.run(list(names), {given.name: each}), strict=True):
            low, high = np.asarray(values).min(over).ravel(), np.asarray(values).max(over).ravel()
            before = found.get(name, (low, high))
            found[name] = np.minimum(before[0], low), np.maximum(before[1], high)
    return found


def _scalable(node: NodeProto, graph: GraphProto) -> bool:
    """A convolution over all channels, or over each by itself, with weights of its own."""
    if node.op_type != "Conv":
        return False
    weights = next((each for each in graph.initializer if each.name == node.input[1]), None)
    return weights is not None and _group_size(node) in (1, weights.dims[0])


def _group_size(node: NodeProto) -> int:
    return next((int(each.i) for each in node.attribute if each.name == "group"), 1)


def _touched(node: NodeProto) -> Iterable[str]:
    """Every tensor that `node` reads or makes, in its branches too."""
    yield from (*node.input, *node.output)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                yield from _touched(inner)


class _Together:
    """Sets of names that are joined pair by pair."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        while (parent := self._parent.setdefault(name, name)) != name:
            name = parent
        return name

    def join(self, one: str, other: str) -> None:
        self._parent[self.root(one)] = self.root(other)
