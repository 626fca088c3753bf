"""Small real ONNX models for tests: they find red in a few operators, and fulfill the contract or break it."""

import hashlib
from pathlib import Path
from typing import Any

from onnx import parser

from service.models.catalog import ModelSpec
from service.policy import Shape

STRIDE = 4
REACH = 6.0
"""Half the side of each box, in tile pixels."""


def toy_spec(name: str = "toy", content: bytes = b"", **changes: Any) -> ModelSpec:
    """The catalog entry of a toy model; `changes` override."""
    values: dict[str, Any] = {
        "name": name,
        "version": "1",
        "classes": (name,),
        "tile_height": 64,
        "tile_width": 64,
        "max_detections": 8,
        "max_batch": 4,
        "sha256": hashlib.sha256(content).hexdigest(),
        "license": "Apache-2.0",
        "threshold": 0.5,
        "margin": 0.1,
        "shape": Shape.BOX,
    }
    return ModelSpec.model_validate(values | changes)


def toy_onnx(
    *,
    side: int = 64,
    slots: int = 8,
    boxes: str = "found",
    scores: str = "found",
    extra: str = "",
    any_size: bool = False,
) -> bytes:
    """The file: the reddest 4 × 4 cells of a `side` × `side` tile, or of one of any size, scored by how red they are.

    `boxes` and `scores` name the values that are answered: `found`, or one that `extra` (ONNX text) computes from
    `found_boxes` and `found_scores`.
    """
    sides = "rows, columns" if any_size else f"{side}, {side}"
    boxes = "found_boxes" if boxes == "found" else boxes
    scores = "found_scores" if scores == "found" else scores
    text = f"""
    <ir_version: 8, opset_import: ["" : 17]>
    toy (uint8[batch, {sides}, 3] tiles) => (float[batch, {slots}, 4] boxes, float[batch, {slots}] scores)
    <
        int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] axis = {{1}},
        float scale = {{{1 / 255}}}, float least = {{0.0}}, float most = {{1.0}},
        int64[2] flat = {{0, -1}}, int64[1] slots = {{{slots}}}, int64[1] last = {{3}}, int64[1] end = {{4}},
        float half = {{0.5}},
        float stride = {{{STRIDE}.0}}, float reach = {{{REACH}}}
    >
    {{
        values = Cast<to = 1>(tiles)
        planes = Transpose<perm = [0, 3, 1, 2]>(values)
        red = Slice(planes, zero, one, axis)
        green = Slice(planes, one, two, axis)
        surplus = Sub(red, green)
        share = Mul(surplus, scale)
        mean = AveragePool<kernel_shape = [{STRIDE}, {STRIDE}], strides = [{STRIDE}, {STRIDE}]>(share)
        bounded = Clip(mean, least, most)
        cells = Shape(bounded)
        columns = Slice(cells, last, end)
        row_cells = Cast<to = 1>(columns)
        per_row = Reciprocal(row_cells)
        row_of_cells = Reshape(bounded, flat)
        found_scores, best = TopK<axis = 1, largest = 1, sorted = 1>(row_of_cells, slots)
        number = Cast<to = 1>(best)
        inside = Add(number, half)
        rows = Mul(inside, per_row)
        row = Floor(rows)
        before = Mul(row, row_cells)
        column = Sub(number, before)
        x_cell = Add(column, half)
        y_cell = Add(row, half)
        x = Mul(x_cell, stride)
        y = Mul(y_cell, stride)
        x1 = Sub(x, reach)
        y1 = Sub(y, reach)
        x2 = Add(x, reach)
        y2 = Add(y, reach)
        x1_ = Unsqueeze(x1, two)
        y1_ = Unsqueeze(y1, two)
        x2_ = Unsqueeze(x2, two)
        y2_ = Unsqueeze(y2, two)
        found_boxes = Concat<axis = 2>(x1_, y1_, x2_, y2_)
        {extra}
        boxes = Identity({boxes})
        scores = Identity({scores})
    }}
    """
    return bytes(parser.parse_model(text).SerializeToString())


NOT_FINITE = {
    "boxes": "wrong",
    "extra": "gap = Sub(least, least)  nothing = Div(gap, gap)  wrong = Add(found_boxes, nothing)",
}
SWAPPED = {"boxes": "wrong", "extra": "wrong = Concat<axis = 2>(x2_, y2_, x1_, y1_)"}
RISING = {"scores": "wrong", "extra": "wrong = Sub(most, found_scores)"}
TOO_HIGH = {"scores": "wrong", "extra": "wrong = Add(found_scores, most)"}


def write_toy(root: Path, name: str = "toy", *, spec: dict[str, Any] | None = None, **graph: Any) -> ModelSpec:
    """A catalog folder `root`/`name` with a toy's entry and file; `graph` as `toy_onnx`, `spec` overrides the entry."""
    content = toy_onnx(**graph)
    entry = toy_spec(name, content, **(spec or {}))
    file = root / name / entry.version / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    (root / name / "model.json").write_text(entry.model_dump_json(), encoding="utf-8")
    return entry
