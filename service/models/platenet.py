"""Plates: the network that was trained for this project (see its model card), rewritten into the contract."""

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from service.models.contract import CELLS, STRIDE, assemble, fit
from service.models.second_stage import add_second_stage

SOURCE, SECOND = Path("source", "network.onnx"), Path("source", "second_stage.onnx")
"""The trained networks, relative to the model's folder: what proposes plates and what judges the proposals."""

IMAGE = "image"
SCORE, DISTANCES = "score", "box"
"""The network's outputs at stride 4: probability; distances left, top, right, bottom in pixels from the center."""

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
    return rewrite((folder / SOURCE).read_bytes(), (folder / SECOND).read_bytes())


def rewrite(trained: bytes, second: bytes) -> bytes:
    """The trained networks (the first takes BGR in 0..255) in the contract, which gives them RGB."""
    return add_second_stage(proposing(trained), "image", onnx.load_from_string(second))


def proposing(trained: bytes) -> bytes:
    """The first network alone in the contract."""
    network = onnx.load_from_string(trained)
    fit(network, IMAGE, {SCORE: 1, DISTANCES: 4})
    _swap_red_and_blue(network)
    return assemble("plate", network, IMAGE, SCORE, DECODE, {DISTANCES: "distances"})


def _swap_red_and_blue(network: ModelProto) -> None:
    """Reverses the input channels of the first convolution: the same numbers as from a picture in the other order."""
    first = next(node for node in network.graph.node if node.op_type == "Conv")
    weights = next(each for each in network.graph.initializer if each.name == first.input[1])
    turned = np.ascontiguousarray(numpy_helper.to_array(weights)[:, ::-1])
    weights.CopyFrom(numpy_helper.from_array(turned, weights.name))
