"""Plates: the network that was trained for this project (see its model card), rewritten into the contract."""

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, compose, numpy_helper

from service.models.contract import CELLS, SIDE, STRIDE, assemble, fit, part
from service.models.second_stage import add_second_stage

SOURCE, CONTEXT, SECOND = (Path("source", f"{name}.onnx") for name in ("network", "context", "second_stage"))
"""The trained networks, relative to the model's folder: the two that propose plates, and what judges the proposals."""

IMAGE = "image"
SCORE, DISTANCES = "score", "box"
"""A network's outputs at stride 4: probability; distances left, top, right, bottom in pixels from the center."""

OUTPUTS = ((SCORE, ""), (DISTANCES, "_box"))
"""And the endings of the names that they have in `_CHOOSE`."""

TRUST = 2.0
"""Factor on the odds of the network with context: it has seen fewer plates, and is less sure of what it finds."""

_CHOOSE = f"""
choose (float[batch, 1, {SIDE}, {SIDE}] details, float[batch, 4, {SIDE}, {SIDE}] details_box,
        float[batch, 1, {SIDE}, {SIDE}] context, float[batch, 4, {SIDE}, {SIDE}] context_box)
    => (float[batch, 1, {SIDE}, {SIDE}] heat, float[batch, 4, {SIDE}, {SIDE}] distances)
<float more = {{{TRUST - 1}}}, float trust = {{{TRUST}}}, float one = {{1.0}}, float inverse = {{-1.0}}>
{{
    weighed = Mul(context, trust)
    grown = Mul(context, more)
    sum = Add(grown, one)
    share = Pow(sum, inverse)
    raised = Mul(weighed, share)
    surer = Greater(raised, details)
    heat = Max(details, raised)
    distances = Where(surer, context_box, details_box)
}}
"""

DECODE = f"""
decode (float[batch, 2, slots] at, int64[batch, 1, slots] cell, float[batch, 4, height, width] distances)
    => (float[batch, slots, 4] boxes)
<
    int64[3] flat = {{0, 4, {CELLS}}}, float stride = {{{STRIDE}.0}},
    float[1, 4, 1] outward = {{-1.0, -1.0, 1.0, 1.0}}
>
{{
    cells = Concat<axis = 1>(cell, cell, cell, cell)
    distance_cells = Reshape(distances, flat)
    distance = GatherElements<axis = 2>(distance_cells, cells)
    reach = Mul(distance, outward)
    center = Mul(at, stride)
    centers = Concat<axis = 1>(center, center)
    corners = Add(centers, reach)
    boxes = Transpose<perm = [0, 2, 1]>(corners)
}}
"""


def from_folder(folder: Path) -> bytes:
    """The model of the trained networks that lie in the model's `folder`."""
    return rewrite(*((folder / each).read_bytes() for each in (SOURCE, CONTEXT, SECOND)))


def rewrite(details: bytes, context: bytes, second: bytes) -> bytes:
    """The trained networks (the first takes BGR in 0..255, the others RGB) in the contract."""
    return add_second_stage(proposing(details, context), "image", onnx.load_from_string(second))


def proposing(details: bytes, context: bytes) -> bytes:
    """The two networks that propose, in the contract: of each cell what the surer one says."""
    first, other = onnx.load_from_string(details), onnx.load_from_string(context)
    for network in (first, other):
        fit(network, IMAGE, {SCORE: 1, DISTANCES: 4})
    _swap_red_and_blue(first)
    first, other = (
        compose.add_prefix(network, f"{name}/", rename_inputs=False)
        for name, network in (("details", first), ("context", other))
    )
    for part_of in ("node", "initializer", "output"):
        getattr(first.graph, part_of).extend(getattr(other.graph, part_of))
    named = [(f"{name}/{output}", f"{name}{end}") for name in ("details", "context") for output, end in OUTPUTS]
    both = compose.merge_models(first, part(_CHOOSE), named)
    return assemble("plate", both, IMAGE, "heat", DECODE, {"distances": "distances"})


def _swap_red_and_blue(network: ModelProto) -> None:
    """Reverses the input channels of the first convolution: the same numbers as from a picture in the other order."""
    first = next(node for node in network.graph.node if node.op_type == "Conv")
    weights = next(each for each in network.graph.initializer if each.name == first.input[1])
    turned = np.ascontiguousarray(numpy_helper.to_array(weights)[:, ::-1])
    weights.CopyFrom(numpy_helper.from_array(turned, weights.name))
