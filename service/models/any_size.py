"""A detector that takes tiles of any size, in a file for processors: what a smaller part of a tile costs is its share.

TensorRT computes tiles of one size, for which it lays out everything beforehand, so the contract has sizes in numbers
(`service/models/contract.py`). Of those only the number of cells and how many lie in a row are in the graph; here the
score map tells them.
"""

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from service.models.catalog import ANY_SIDES
from service.models.contract import CELLS
from service.models.counted import count_places
from service.models.variants import ordered

SIDE, PER_SIDE = "peaks/side", "peaks/per_side"
"""Cells in a row and the inverse, of `service/models/contract.py`."""


def in_single_precision(content: bytes) -> bytes | None:
    """The file `content` for processors, in single precision as it is; None if nothing would change."""
    model = onnx.load_from_string(content)
    if not take_any_size(model):
        return None
    count_places(model)
    return ordered(model)


def take_any_size(model: ModelProto) -> bool:
    """Changes a graph of `service.models.contract.assemble` in place; any other is left as it is. Whether it was one.

    Sides are multiples of 32 pixels, at least 64: the answer has a place for each of 256 cells.
    """
    graph = model.graph
    heat = next((node for node in graph.node if node.op_type == "MaxPool" and node.output[0] == "peaks/highest"), None)
    if heat is None:
        return False
    sides = graph.input[0].type.tensor_type.shape.dim
    sides[1].dim_param, sides[2].dim_param = ANY_SIDES
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for each in graph.initializer:
        shape = numpy_helper.to_array(each)
        if each.name in shapes and shape[-1] == CELLS:
            each.CopyFrom(numpy_helper.from_array(np.array([*shape[:-1], -1]), each.name))
    constants = [each for each in graph.initializer if each.name not in (SIDE, PER_SIDE)]
    del graph.initializer[:]
    graph.initializer.extend([*constants, numpy_helper.from_array(np.array(3), "peaks/last")])
    told = [
        helper.make_node("Shape", [heat.input[0]], ["peaks/shape"]),
        helper.make_node("Gather", ["peaks/shape", "peaks/last"], ["peaks/columns"]),
        helper.make_node("Cast", ["peaks/columns"], [SIDE], to=1),
        helper.make_node("Reciprocal", [SIDE], [PER_SIDE]),
    ]
    at = list(graph.node).index(heat)
    nodes = [*graph.node[:at], *told, *graph.node[at:]]
    del graph.node[:], graph.value_info[:]  # of sizes as they were
    graph.node.extend(nodes)
    return True
