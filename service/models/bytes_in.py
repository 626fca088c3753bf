"""First convolutions that read a tile's bytes as they lie, in a detector in 8 bits.

A convolution over three channels keeps a processor busy with gathering three bytes at a time. Four pixels of a row lie
side by side in memory: as one place with twelve channels they give the same sums, by a kernel of fewer columns that
makes several columns of the result at once (space to depth, along rows only, where it moves nothing). What else turned
bytes into floats of another range is what the scale and the zero point of those bytes say. A stem of 320 × 320 places
takes half the time, conversions included.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

TOGETHER = 4
"""Pixels of a row that are one place."""
TILES, PLACES = "tiles", "tiles/places"
POINTWISE = ("Cast", "Transpose", "Mul", "Add", "Sub", "AveragePool", "QuantizeLinear", "DequantizeLinear")
"""What may stand between the tiles and a first convolution."""

Value = npt.NDArray[np.generic]


@dataclass(frozen=True)
class _Stem:
    """A convolution whose input is a tile's bytes, or means of 2 × 2 of them, and the pairs around it.

    `reads`, `weights`, `bias`: what makes its inputs of bytes; `gives`: what makes its output bytes.
    """

    convolution: NodeProto
    reads: NodeProto
    weights: NodeProto
    bias: NodeProto
    gives: NodeProto
    averaged: bool


def read_bytes(model: ModelProto) -> None:
    """Changes `model`, with quantization pairs and tiles (n, height, width, 3), in place; other convolutions stay.

    Means of 2 × 2 pixels before a convolution become part of it; all else computes the very same.
    """
    graph = model.graph
    stems = list(_stems(graph))
    if not stems:
        return
    shape = _constant(graph, f"{PLACES}/shape", np.array([0, 0, -1, 3 * TOGETHER]))
    graph.node.append(helper.make_node("Reshape", [TILES, shape], [f"{PLACES}/last"]))
    graph.node.append(helper.make_node("Transpose", [f"{PLACES}/last"], [PLACES], perm=[0, 3, 1, 2]))
    for stem in stems:
        _rewrite(graph, stem)


def widened(kernel: npt.NDArray[np.int8], columns: int, left: int, *, stride: int) -> tuple[npt.NDArray[np.int8], int]:
    """What `kernel` (channels, 3, h, w) does at so many columns, for places of TOGETHER pixels.

    `left`: pixels before the first column that it reaches; `stride`: pixels from column to column. Gives kernels
    (columns × channels, TOGETHER × 3, h, places) and how many places lie before the first one.
    """
    channels, colors, height, width = kernel.shape
    before = -(-left // TOGETHER)
    places = before + ((columns - 1) * stride - left + width - 1) // TOGETHER + 1
    wide = np.zeros((columns, channels, TOGETHER, colors, height, places), kernel.dtype)
    for column in range(columns):
        for x in range(width):
            place, pixel = divmod(column * stride - left + x, TOGETHER)
            wide[column, :, pixel, ..., place + before] = kernel[..., x]
    return wide.reshape(columns * channels, TOGETHER * colors, height, places), before


def _stems(graph: GraphProto) -> Iterator[_Stem]:
    made_by = {output: node for node in graph.node for output in node.output}
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    values |= {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in graph.node if node.op_type == "Constant"
    }
    for node in graph.node:
        if node.op_type != "Conv" or any(made_by.get(name) is None for name in node.input):
            continue
        reads, weights, bias = (made_by[name] for name in node.input)
        gives = [each for each in graph.node if node.output[0] in each.input]
        if reads.op_type != "DequantizeLinear" or len(gives) != 1 or gives[0].op_type != "QuantizeLinear":
            continue
        pair = made_by.get(reads.input[0])
        way = [] if pair is None else _way(made_by.get(pair.input[0]), made_by, values)
        means = [each for each in way if each.op_type == "AveragePool"]
        stride = next(each.ints[0] for each in node.attribute if each.name == "strides") << len(means)
        if way and all(map(_halves, means)) and TOGETHER % stride == 0 and _gives_bytes(way, reads, values):
            yield _Stem(node, reads, weights, bias, gives[0], averaged=bool(means))


def _way(node: NodeProto | None, made_by: Mapping[str, NodeProto], values: Mapping[str, Value]) -> list[NodeProto]:
    """What leads from the tiles to the output of `node`, if all of it is pointwise or a mean of 2 × 2; else nothing."""
    way: list[NodeProto] = []
    while node is not None and node.op_type in POINTWISE:
        way.insert(0, node)
        given = (
            node.input[:1] if node.op_type.endswith("Linear") else [each for each in node.input if each not in values]
        )
        if given == [TILES]:
            return way
        node = made_by.get(given[0]) if len(given) == 1 else None
    return []


def _halves(mean: NodeProto) -> bool:
    """Whether it is of 2 × 2 pixels beside each other, and nothing else."""
    attributes = {each.name: list(each.ints) for each in mean.attribute if each.ints}
    return attributes.pop("kernel_shape") == attributes.pop("strides", None) == [2, 2] and not any(
        map(any, attributes.values())
    )


def _gives_bytes(way: list[NodeProto], reads: NodeProto, values: Mapping[str, Value]) -> bool:
    """Whether `reads` takes for each byte of a tile the number that `way` makes of it."""
    low, high = 0.0, 255.0
    for node in way:
        if node.op_type in ("Mul", "Add", "Sub"):
            constant = values.get(node.input[1])
            if constant is None or constant.size != 1:
                return False
            value = float(constant.item())
            low, high = (
                each * value if node.op_type == "Mul" else each + value if node.op_type == "Add" else each - value
                for each in (low, high)
            )
    scale, zero = (values[name].astype(np.float64) for name in reads.input[1:])
    return bool(np.allclose([low, high], scale * (np.array([0, 255]) - zero), rtol=0, atol=float(scale) / 256))


def _rewrite(graph: GraphProto, stem: _Stem) -> None:
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    attributes = {each.name: each for each in stem.convolution.attribute}
    kernel, scale, zero = (values[name] for name in stem.weights.input)
    stride, (top, left, bottom, _) = attributes["strides"].ints[0], attributes["pads"].ints
    bias, pixels = values[stem.bias.input[0]], 1
    if stem.averaged:
        kernel, scale, bias, pixels = kernel.repeat(2, 2).repeat(2, 3), scale / np.float32(4), bias * 4, 2
    columns = TOGETHER // (stride * pixels)
    wide, before = widened(kernel, columns, left * pixels, stride=stride * pixels)
    name = stem.convolution.output[0]
    pairs = {
        "kernel": (wide, scale, zero),
        "bias": (np.tile(bias, columns), scale * values[stem.reads.input[1]], np.zeros_like(bias)),
    }
    stem.convolution.input[:] = [f"{name}/bytes", *(f"{name}/{each}" for each in pairs)]
    graph.node.append(helper.make_node("DequantizeLinear", [PLACES, *stem.reads.input[1:]], [f"{name}/bytes"]))
    for each, (numbers, *of_channels) in pairs.items():
        given = (numbers, *(np.tile(every, columns) for every in of_channels))
        names = [_constant(graph, f"{name}/{each}/{k}", value) for k, value in enumerate(given)]
        graph.node.append(helper.make_node("DequantizeLinear", names, [f"{name}/{each}"], axis=0))
    attributes["strides"].ints[:] = [stride * pixels, 1]
    attributes["kernel_shape"].ints[:] = wide.shape[2:]
    attributes["pads"].ints[:] = [top * pixels, before, bottom * pixels, wide.shape[3] - 1 - before]
    if columns > 1:
        _spread(graph, stem.gives, _constant(graph, f"{name}/shape", np.array([0, 0, -1, kernel.shape[0]])))


def _spread(graph: GraphProto, gives: NodeProto, shape: str) -> None:
    """Columns that lie in the channels of `gives` beside each other: as channels come last, that moves nothing."""
    name = gives.output[0]
    gives.output[0] = f"{name}/wide"
    graph.node.append(helper.make_node("Transpose", [f"{name}/wide"], [f"{name}/rows"], perm=[0, 2, 3, 1]))
    graph.node.append(helper.make_node("Reshape", [f"{name}/rows", shape], [f"{name}/places"]))
    graph.node.append(helper.make_node("Transpose", [f"{name}/places"], [name], perm=[0, 3, 1, 2]))


def _constant(graph: GraphProto, name: str, value: Value) -> str:
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name
