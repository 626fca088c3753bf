"""A second look at as many places as there are, cut out by RoIAlign, in a file for processors.

TensorRT wants shapes that do not depend on data, so `service/models/second_stage.py` looks at a whole group of places
if one of them is worth it, and has no RoIAlign without a plugin. Most tiles have few places.
"""

from onnx import GraphProto, ModelProto, NodeProto

from service.models.contract import SLOTS, part, prune
from service.models.second_stage import HEIGHT, LEAST, PATCHES, PLACES, PROPOSALS, WIDTH

_COUNT = f"""
count (float[batch, {SLOTS}] proposed) => (int64[1] places)
<float least = {{{LEAST}}}, int64[1] most = {{{PLACES}}}, int64[1] slots = {{1}}>
{{
    likely = GreaterOrEqual(proposed, least)
    ones = Cast<to = 7>(likely)
    of_each = ReduceSum<keepdims = 0>(ones, slots)
    highest = ReduceMax<keepdims = 1>(of_each)
    places = Min(highest, most)
}}
"""

_CUT = f"""
region (float[batch, 3, rows, columns] image, float[batch, boxes, 2] middle, float[batch, boxes, 2] wide)
    => (float[places, 3, {HEIGHT}, {WIDTH}] patches)
<
    int64[1] none = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] all = {{-1}},
    int64[2] by_four = {{-1, 4}}, float half = {{0.5}}
>
{{
    reach = Mul(wide, half)
    from = Sub(middle, reach)
    to = Add(middle, reach)
    corners = Concat<axis = 2>(from, to)
    regions = Reshape(corners, by_four)
    shape = Shape(middle)
    boxes_of_tiles = Slice(shape, none, two)
    every = ConstantOfShape<value = int64[1] {{1}}>(boxes_of_tiles)
    numbers = NonZero(every)
    tiles = Slice(numbers, none, one, none)
    of_tile = Reshape(tiles, all)
    patches = RoiAlign<mode = "avg", coordinate_transformation_mode = "half_pixel", output_height = {HEIGHT},
                       output_width = {WIDTH}, sampling_ratio = 2, spatial_scale = 1.0>(image, regions, of_tile)
}}
"""
"""`middle`, `wide`: of the same names in `service/models/second_stage.py`, x and y in tile pixels."""


def count_places(model: ModelProto) -> None:
    """Changes a graph of `service.models.second_stage.add_second_stage` in place; any other is left as it is.

    What is cut out of is made of the tiles' bytes only where something is cut out.
    """
    graph = model.graph
    if not any(node.op_type == "If" for node in graph.node):
        return
    count = part(_COUNT).graph
    names = {"proposed": PROPOSALS["scores"], "places": "second/places"}
    for node in count.node:
        node.input[:] = [names.get(each, each) for each in node.input]
        node.output[:] = [names.get(each, each) for each in node.output]
    graph.initializer.extend(count.initializer)
    graph.node.extend(count.node)
    made_by = {output: node for node in graph.node for output in node.output}
    for kind in PROPOSALS:
        made_by[f"second/{kind}/0"].input[2] = "second/places"
    rest = max(name for name in made_by if name.startswith("second/scores/"))
    made_by[rest].input[1] = "second/places"
    made_by["second/highest/0"].input[0] = PROPOSALS["scores"]
    made_by["all_scores"].input[:] = ["second/judged/0", rest]
    branches = {each.name: each.g for each in made_by["second/judged/0"].attribute}
    for each in branches.values():
        del each.value_info[:]  # of shapes as they were
        each.output[0].type.tensor_type.shape.dim[1].dim_param = "places"
    _cut_by_regions(branches["then_branch"])
    _convert_inside(branches["then_branch"], graph)


def _cut_by_regions(branch: GraphProto) -> None:
    """Puts RoIAlign (He et al., 2017) in the place of what gives the same by GridSample, in a third of the time less.

    They differ at the edge of a tile alone: what lies beyond it by less than a pixel is not darkened.
    """
    sample = next(node for node in branch.node if node.op_type == "GridSample")
    patches = next(node for node in branch.node if node.output[0].endswith(f"/{PATCHES}"))
    cut = part(_CUT).graph
    names = {"image": sample.input[0], "patches": patches.output[0]}
    names |= {each: f"second/0/cut/{each}" for each in ("middle", "wide")}
    for node in cut.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    at = list(branch.node).index(patches)
    nodes = [*branch.node[:at], *cut.node, *branch.node[at + 1 :]]
    del branch.node[:]
    branch.node.extend(nodes)
    branch.initializer.extend(cut.initializer)
    prune(branch)


def _convert_inside(branch: GraphProto, graph: GraphProto) -> None:
    """Puts what makes the image of the tiles into `branch`: all of it is for the samples alone."""
    made_by = {output: node for node in graph.node for output in node.output}
    sample = next(node for node in branch.node if node.op_type == "RoiAlign")
    chain: list[NodeProto] = []
    name = sample.input[0]
    while name in made_by:
        node = NodeProto()
        node.CopyFrom(made_by[name])
        node.output[0] = f"second/{name}"
        name = node.input[0]
        node.input[0] = f"second/{name}" if name in made_by else name
        chain.append(node)
    sample.input[0] = f"second/{sample.input[0]}"
    nodes = [*reversed(chain), *branch.node]
    del branch.node[:]
    branch.node.extend(nodes)
