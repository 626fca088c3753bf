"""Plates: the networks that were trained for this project (see their model card), rewritten into the contract."""

from pathlib import Path

import onnx

from service.models.contract import CELLS, STRIDE, assemble, fit
from service.models.second_stage import add_second_stage

SOURCE, SECOND = (Path("source", f"{name}.onnx") for name in ("network", "second_stage"))
"""The trained networks, relative to the model's folder: the one that proposes plates, and what judges the proposals."""

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
    return rewrite(*((folder / each).read_bytes() for each in (SOURCE, SECOND)))


def rewrite(trained: bytes, second: bytes) -> bytes:
    """The trained networks, which take RGB in 0..255, in the contract."""
    return add_second_stage(proposing(trained), IMAGE, onnx.load_from_string(second))


def proposing(trained: bytes) -> bytes:
    """The network that proposes alone, in the contract."""
    network = onnx.load_from_string(trained)
    fit(network, IMAGE, {SCORE: 1, DISTANCES: 4})
    return assemble("plate", network, IMAGE, SCORE, DECODE, {DISTANCES: "distances"})
