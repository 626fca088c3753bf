"""A second look at what a detector proposes: each of its best boxes, cut out at one size and judged by a small network.

Two stages as in Faster R-CNN (Ren et al., 2015, section 3.2): the first one sees every place of the tile at three
sizes, the second one sees few places, all of them as large as it needs, with what is around them. Its probability is
multiplied with the first score (each to a power).

What is cut out is sampled bilinearly at twice the size and averaged (RoIAlign with a sampling ratio of 2; He et al.,
2017, section 3), by GridSample, which TensorRT has without a plugin. What comes out for a tile does not depend on the
others of its batch.
"""

from itertools import pairwise

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, compose, helper, numpy_helper

from service.models.contract import SLOTS, TILE, finished, part

PLACES, AT_ONCE = 24, 8
"""Boxes per tile that are looked at again, and so many at a time: the next ones only if one of them is worth it. Those
that follow keep the score that they have."""

WIDTH, HEIGHT = 96, 64
"""What is cut out, in pixels, as the second network sees it."""

AROUND_X, AROUND_Y = 2.4, 3.6
"""Sides of what is cut out, in sides of the box."""

SAMPLES_X, SAMPLES_Y = 2 * WIDTH, 2 * HEIGHT
UNIT = 16.0
"""Width and height of a box in tile pixels are given to the second network as the logarithm of so many."""

LEAST = 0.38
"""A proposal that scores less is not looked at again, and a batch without any other skips all of it. Its score could
not come over the root of this, .616, whatever the second stage said."""

PATCHES, SIZES, JUDGMENT = "patches", "sizes", "judgment"
"""Inputs of the second network: (n, 3, HEIGHT, WIDTH) RGB in 0..255 and (n, 2); output (n, 1): logit."""

PROPOSALS = {"boxes": "proposed/boxes", "scores": "proposed/scores"}
"""The first stage's outputs, by their names in the contract."""

SHARE = 0.5
"""Power of the second stage's probability in the score; the first stage's score has the rest."""


_ENDS = (*range(AT_ONCE, PLACES + 1, AT_ONCE), SLOTS)
"""Where the places that are looked at together end, and all that follow."""


def _steps(count: int) -> str:
    """Middles of `count` equal parts of a side, from -0.5 to 0.5."""
    return ", ".join(repr((k + 0.5) / count - 0.5) for k in range(count))


_CUT = f"""
cut (float[batch, 3, {TILE}, {TILE}] image, float[batch, boxes, 4] proposed)
    => (float[places, 3, {HEIGHT}, {WIDTH}] {PATCHES}, float[places, 2] {SIZES})
<
    int64[1] none = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] four = {{4}},
    float half = {{0.5}}, float edge = {{1.0}}, float zero = {{0.0}}, float[2] around = {{{AROUND_X}, {AROUND_Y}}},
    float to_grid = {{{2 / TILE}}}, float per_unit = {{{1 / UNIT}}}, float least_side = {{1.0}},
    float[{SAMPLES_X}] steps_x = {{{_steps(SAMPLES_X)}}}, float[{SAMPLES_Y}] steps_y = {{{_steps(SAMPLES_Y)}}},
    int64[4] as_row = {{0, -1, 1, {SAMPLES_X}}}, int64[4] as_column = {{0, -1, {SAMPLES_Y}, 1}},
    int64[4] below_each_other = {{0, -1, {SAMPLES_X}, 2}},
    int64[5] apart = {{0, 3, -1, {HEIGHT}, {WIDTH}}}, int64[4] one_by_one = {{-1, 3, {HEIGHT}, {WIDTH}}},
    int64[2] pairs = {{-1, 2}}
>
{{
    low = Slice(proposed, none, two, two)
    high = Slice(proposed, two, four, two)
    size = Sub(high, low)
    twice = Add(low, high)
    middle = Mul(twice, half)
    from_corner = Mul(middle, to_grid)
    center = Sub(from_corner, edge)
    wide = Mul(size, around)
    reach = Mul(wide, to_grid)
    center_x = Slice(center, none, one, two)
    center_y = Slice(center, one, two, two)
    reach_x = Slice(reach, none, one, two)
    reach_y = Slice(reach, one, two, two)
    away_x = Mul(reach_x, steps_x)
    away_y = Mul(reach_y, steps_y)
    columns = Add(center_x, away_x)
    rows = Add(center_y, away_y)
    row = Reshape(columns, as_row)
    column = Reshape(rows, as_column)
    no_row = Mul(row, zero)
    no_column = Mul(column, zero)
    x = Add(row, no_column)
    y = Add(column, no_row)
    last = Unsqueeze(x, four)
    last_y = Unsqueeze(y, four)
    points = Concat<axis = 4>(last, last_y)
    grid = Reshape(points, below_each_other)
    sampled = GridSample<mode = "bilinear", padding_mode = "zeros", align_corners = 0>(image, grid)
    averaged = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(sampled)
    colors_first = Reshape(averaged, apart)
    places_first = Transpose<perm = [0, 2, 1, 3, 4]>(colors_first)
    {PATCHES} = Reshape(places_first, one_by_one)
    bounded = Max(size, least_side)
    in_units = Mul(bounded, per_unit)
    logarithms = Log(in_units)
    {SIZES} = Reshape(logarithms, pairs)
}}
"""

_FUSE = f"""
fuse (float[places, 1] {JUDGMENT}, float[batch, boxes] believed) => (float[batch, boxes] fused)
<float share = {{{SHARE}}}, float rest = {{{1 - SHARE}}}, float least = {{{LEAST}}}>
{{
    probability = Sigmoid({JUDGMENT})
    per_tile = Shape(believed)
    judged = Reshape(probability, per_tile)
    own = Pow(judged, share)
    before = Pow(believed, rest)
    both = Mul(own, before)
    likely = GreaterOrEqual(believed, least)
    fused = Where(likely, both, believed)
}}
"""

_SETTLE = f"""
settle (float[batch, {SLOTS}] all_scores, float[batch, {SLOTS}, 4] all_boxes)
    => (float[batch, {SLOTS}, 4] boxes, float[batch, {SLOTS}] scores)
<int64[1] two = {{2}}, int64[1] slots = {{{SLOTS}}}>
{{
    scores, best = TopK<axis = 1, largest = 1, sorted = 1>(all_scores, slots)
    index = Unsqueeze(best, two)
    indices = Concat<axis = 2>(index, index, index, index)
    boxes = GatherElements<axis = 1>(all_boxes, indices)
}}
"""


def add_second_stage(first: bytes, image: str, second: ModelProto) -> bytes:
    """`first`, a file in the contract, with the judgment of `second` over its best boxes.

    `image`: the value in `first` that holds the tiles, (batch, 3, TILE, TILE) in 0..255. `second` has the inputs
    `PATCHES` and `SIZES` and the output `JUDGMENT`.
    """
    model = onnx.load_from_string(first)
    graph = model.graph
    del graph.value_info[:]  # they are inferred anew
    for node in graph.node:
        node.output[:] = [PROPOSALS.get(name, name) for name in node.output]
    for at in (0, 1, *_ENDS):
        graph.initializer.append(numpy_helper.from_array(np.array([at]), f"second/{at}"))
    graph.initializer.append(numpy_helper.from_array(np.array(LEAST, np.float32), "second/least"))
    for k, (begin, end) in enumerate(pairwise((0, *_ENDS))):
        for name, whole in PROPOSALS.items() if end <= PLACES else [("scores", PROPOSALS["scores"])]:
            bounds = [whole, f"second/{begin}", f"second/{end}", "second/1", "second/1"]
            graph.node.append(helper.make_node("Slice", bounds, [f"second/{name}/{k}"]))
    look, settle = _look(second), part(_SETTLE).graph
    graph.initializer.extend(settle.initializer)
    judged = [_judged(graph, look, image, k) for k in range(len(_ENDS) - 1)]
    graph.node.extend(
        [
            helper.make_node("Concat", [*judged, f"second/scores/{len(judged)}"], ["all_scores"], axis=1),
            helper.make_node("Identity", [PROPOSALS["boxes"]], ["all_boxes"]),
            *settle.node,
        ]
    )
    return finished(model)


def _look(second: ModelProto) -> GraphProto:
    """Cut out, judged and fused: `image`, `proposed` and `believed` → `fused`."""
    judge = compose.add_prefix(second, "judge/", rename_inputs=False, rename_outputs=False)
    cut = compose.merge_models(part(_CUT), judge, [(each, each) for each in (PATCHES, SIZES)])
    return compose.merge_models(cut, part(_FUSE), [(JUDGMENT, JUDGMENT)]).graph


def _judged(graph: GraphProto, look: GraphProto, image: str, k: int) -> str:
    """Appends the second look at the `k`-th places to `graph`; the name of their scores, (batch, AT_ONCE).

    Each branch has the weights for itself: ONNX Runtime lays out only those that a graph owns for its fast
    convolutions, and takes twice as long over others.
    """
    scores, highest, again, judged = (f"second/{name}/{k}" for name in ("scores", "highest", "again", "judged"))
    names = {output: f"second/{k}/{output}" for node in look.node for output in node.output}
    names |= {"image": image, "proposed": f"second/boxes/{k}", "believed": scores}
    looked = GraphProto()
    looked.CopyFrom(look)
    for node in looked.node:
        node.name = f"second/{k}/{node.name}" if node.name else ""
        node.input[:] = [names.get(each, each) for each in node.input]
        node.output[:] = [names.get(each, each) for each in node.output]
    shape = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", AT_ONCE])
        for name in (names["fused"], f"as_is/{k}")
    ]
    as_is = helper.make_node("Identity", [scores], [shape[1].name])
    branches = {
        "then_branch": helper.make_graph(looked.node, f"looked_again_{k}", [], shape[:1], looked.initializer),
        "else_branch": helper.make_graph([as_is], f"as_is_{k}", [], shape[1:]),
    }
    graph.node.extend(
        [
            helper.make_node("ReduceMax", [scores], [highest], keepdims=0),
            helper.make_node("GreaterOrEqual", [highest, "second/least"], [again]),
            helper.make_node("If", [again], [judged], **branches),
        ]
    )
    return judged
