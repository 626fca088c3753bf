"""ONNX surgery that every model needs: uint8 RGB tiles in, the best peaks of a score map out.

The parts are written in ONNX's own text syntax and merged with a network. All operators are ones that TensorRT 11
parses: no NonMaxSuppression, no shape that depends on data, only the batch is free. Peaks of a score map instead of
non-maximum suppression: "Objects as Points" (Zhou et al., 2019), section 4.
"""

from collections.abc import Mapping

import onnx
from onnx import GraphProto, ModelProto, NodeProto, compose, parser, shape_inference

TILE = 640
STRIDE = 4
SLOTS = 256
"""Boxes per tile (K)."""

OPSET, IR_VERSION = 17, 8
SIDE = TILE // STRIDE
CELLS = SIDE * SIDE

_HEADER = f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>\n'

_INPUT = f"""
input (uint8[batch, {TILE}, {TILE}, 3] tiles) => (float[batch, 3, {TILE}, {TILE}] image) {{
    values = Cast<to = 1>(tiles)
    image = Transpose<perm = [0, 3, 1, 2]>(values)
}}
"""

_PEAKS = f"""
peaks (float[batch, 1, {SIDE}, {SIDE}] heat)
    => (float[batch, {SLOTS}] scores, int64[batch, 1, {SLOTS}] cell, float[batch, 2, {SLOTS}] at)
<
    float zero = {{0.0}}, float half = {{0.5}}, float side = {{{SIDE}.0}}, float per_side = {{{1 / SIDE}}},
    int64[2] flat = {{0, {CELLS}}}, int64[1] slots = {{{SLOTS}}}, int64[1] middle = {{1}}
>
{{
    highest = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]>(heat)
    is_peak = Equal(heat, highest)
    peak = Where(is_peak, heat, zero)
    row_of_cells = Reshape(peak, flat)
    scores, best = TopK<axis = 1, largest = 1, sorted = 1>(row_of_cells, slots)
    cell = Unsqueeze(best, middle)
    number = Cast<to = 1>(cell)
    number_inside = Add(number, half)
    rows = Mul(number_inside, per_side)
    row = Floor(rows)
    before = Mul(row, side)
    column = Sub(number, before)
    corner = Concat<axis = 1>(column, row)
    at = Add(corner, half)
}}
"""


def part(text: str) -> ModelProto:
    """A piece of a graph from ONNX text, with the opset and IR version that all pieces share.

    What lies between its inputs and outputs gets the piece's name as prefix, so that pieces never collide.
    """
    piece = parser.parse_model(_HEADER + text)
    return compose.add_prefix(piece, f"{piece.graph.name}/", rename_inputs=False, rename_outputs=False)


def fit(network: ModelProto, image: str, outputs: Mapping[str, int]) -> None:
    """Gives `network` its tile size and batch in place: input `image`, and `outputs` (name → channels), no others.

    Nodes and weights that only served other outputs are dropped.
    """
    graph = network.graph
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.append(_tensor(image, 3, TILE))
    graph.output.extend(_tensor(name, channels, SIDE) for name, channels in outputs.items())
    prune(graph)
    _set_versions(network)


def prune(graph: GraphProto) -> None:
    """Drops nodes, in order of computation, and weights that no output of `graph` needs, in place."""
    needed, kept = {each.name for each in graph.output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed |= reads(node)
            kept.append(node)
    weights = [each for each in graph.initializer if each.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)


def reads(node: NodeProto) -> set[str]:
    """Names of the values that `node` needs, those included that its branches take from the graph around them."""
    needed = {each for each in node.input if each}
    for attribute in node.attribute:
        if attribute.HasField("g"):
            inner = attribute.g
            own = {output for each in inner.node for output in each.output} | {each.name for each in inner.initializer}
            needed |= set().union(*map(reads, inner.node)) - own
    return needed


def assemble(name: str, network: ModelProto, image: str, heat: str, decode: str, maps: Mapping[str, str]) -> bytes:
    """The finished file: input → `network` → peaks → `decode`.

    `image` and `heat` are the network's input and score map (batch, 1, SIDE, SIDE). `decode` is ONNX text of a part
    with inputs `at` (batch, 2, K: x, y of the cell's center in cells), `cell` (batch, 1, K: its index) and those of
    `maps` (network output → input of `decode`), and the output `boxes` (batch, K, 4: x1, y1, x2, y2 in tile pixels).
    """
    whole = compose.merge_models(part(_INPUT), network, io_map=[("image", image)])
    whole = compose.merge_models(whole, part(_PEAKS), io_map=[(heat, "heat")], outputs=[*maps, "scores", "cell", "at"])
    whole = compose.merge_models(
        whole,
        part(decode),
        io_map=[("at", "at"), ("cell", "cell"), *maps.items()],
        outputs=["boxes", "scores"],
    )
    whole.graph.name = name
    whole.graph.output.sort(key=lambda output: output.name)
    return finished(whole)


def finished(whole: ModelProto) -> bytes:
    """The file of a graph in the contract: checked, with all shapes, and the same bytes each time."""
    whole.producer_name, whole.producer_version = "veil", ""
    del whole.metadata_props[:]
    whole.doc_string = whole.graph.doc_string = ""
    _set_versions(whole)
    whole = shape_inference.infer_shapes(whole, check_type=True, strict_mode=True, data_prop=True)
    onnx.checker.check_model(whole, full_check=True)
    return bytes(whole.SerializeToString(deterministic=True))


def _set_versions(model: ModelProto) -> None:
    """One IR version and one opset; merging repeats the latter for each part."""
    model.ir_version = IR_VERSION
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))


def _tensor(name: str, channels: int, side: int) -> onnx.ValueInfoProto:
    shape: list[str | int | None] = ["batch", channels, side, side]
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
