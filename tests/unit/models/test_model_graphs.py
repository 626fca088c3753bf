"""The shipped graphs: inside TensorRT's operators, and decoding as their papers and the training do."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import GraphProto, ModelProto, TensorProto, helper

from service.models import centerface, platenet
from service.models.catalog import Catalog
from service.models.contract import CELLS, SIDE, SLOTS, STRIDE
from tests.pictures import FACE, PLATE, street
from tests.triton.server import ROOT

Floats = npt.NDArray[np.float32]

# From TensorRT's list of ONNX operators (github.com/onnx/onnx-tensorrt, docs/operators.md); Cast is how UINT8 enters.
PARSED = {
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "Equal",
    "Exp",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "GridSample",
    "Identity",
    "If",
    "Log",
    "Max",
    "MaxPool",
    "Mul",
    "Pow",
    "ReduceMax",
    "Relu",
    "Reshape",
    "Resize",
    "Shape",
    "Sigmoid",
    "Slice",
    "Sub",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Where",
}


def load(catalog: Catalog, name: str) -> ModelProto:
    return onnx.load(next(catalog.file(spec) for spec in catalog.specs if spec.name == name))


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and the branches in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def run(model: ModelProto, tiles: npt.NDArray[np.uint8], *extra: str) -> dict[str, Floats]:
    """The outputs, and values inside the graph by name."""
    copy = ModelProto.FromString(model.SerializeToString())
    copy.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in extra)
    names = [each.name for each in copy.graph.output]
    session = ort.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {"tiles": tiles}), strict=True))


def peaks(heat: Floats) -> npt.NDArray[np.intp]:
    """Cells of a (SIDE, SIDE) map that none of their eight neighbors exceeds, best first."""
    padded = np.pad(heat, 1, constant_values=-np.inf)
    around = [padded[dy : dy + SIDE, dx : dx + SIDE] for dy in range(3) for dx in range(3)]
    flat = np.where(heat >= np.max(around, axis=0), heat, 0).ravel()
    return np.argsort(-flat, kind="stable")[:SLOTS]


def by_score(boxes: Floats, scores: Floats) -> Floats:
    """Rows of score and box, in an order that ties cannot disturb."""
    rows = np.concatenate([scores[:, None], boxes], axis=1)
    return rows[np.lexsort((rows[:, 2], rows[:, 1], -rows[:, 0]))]


@pytest.mark.parametrize("name", ["face", "plate"])
def test_the_graph_keeps_to_what_tensorrt_parses(catalog: Catalog, name: str) -> None:
    model = load(catalog, name)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for graph in graphs(model.graph) for node in graph.node} <= PARSED
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    assert model.ir_version <= 10
    for value in [*model.graph.input, *model.graph.output]:
        sides = value.type.tensor_type.shape.dim
        assert sides[0].dim_param == "batch"
        assert all(side.dim_value > 0 for side in sides[1:])
    casts = [node for node in model.graph.node if "tiles" in node.input]
    assert [node.op_type for node in casts] == ["Cast"], "TensorRT takes UINT8 only into a Cast"


@pytest.mark.parametrize("name", ["face", "plate"])
def test_every_weight_is_used(catalog: Catalog, name: str) -> None:
    whole = list(graphs(load(catalog, name).graph))
    read = {name for graph in whole for node in graph.node for name in node.input}
    assert {each.name for graph in whole for each in graph.initializer} <= read
    made = {name for graph in whole for node in graph.node for name in node.output}
    assert made - read == {each.name for graph in whole for each in graph.output}


def test_faces_are_decoded_as_centerface_does(catalog: Catalog) -> None:
    """The reference is the published decoding: (y, x) order, exp(scale) · 4, offset plus half a cell."""
    tiles = np.stack([street(), street()[:, ::-1], np.zeros_like(street())])
    inner = run(load(catalog, "face"), tiles, centerface.HEATMAP, centerface.SCALE, centerface.OFFSET)
    for i in range(len(tiles)):
        heat = inner[centerface.HEATMAP][i, 0]
        cells = peaks(heat)
        row, column = cells // SIDE, cells % SIDE
        height, width = np.exp(inner[centerface.SCALE][i].reshape(2, CELLS)[:, cells]) * STRIDE
        down, across = inner[centerface.OFFSET][i].reshape(2, CELLS)[:, cells]
        x, y = (column + across + 0.5) * STRIDE, (row + down + 0.5) * STRIDE
        expected = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
        scores = np.where(heat.ravel()[cells] > 0, heat.ravel()[cells], 0)
        found = by_score(inner["boxes"][i], inner["scores"][i])
        likely = scores > 0.001
        np.testing.assert_allclose(found[likely], by_score(expected, scores)[likely], rtol=1e-4, atol=1e-2)


def test_plates_are_proposed_where_the_trained_network_says(catalog: Catalog) -> None:
    """The reference is the committed network, decoded cell by cell."""
    trained = (catalog.root / "plate" / platenet.SOURCE).read_bytes()
    rgb = street()[None].transpose(0, 3, 1, 2).astype(np.float32)
    score, distances = (
        np.asarray(each)
        for each in ort.InferenceSession(trained, providers=["CPUExecutionProvider"]).run(
            [platenet.SCORE, platenet.DISTANCES], {platenet.IMAGE: rgb}
        )
    )
    cells = peaks(score[0, 0])
    x, y = (cells % SIDE + 0.5) * STRIDE, (cells // SIDE + 0.5) * STRIDE
    left, top, right, bottom = distances[0].reshape(4, CELLS)[:, cells]
    expected = by_score(np.stack([x - left, y - top, x + right, y + bottom], axis=1), score.ravel()[cells])
    answer = run(onnx.load_from_string(platenet.proposing(trained)), street()[None])
    found = by_score(answer["boxes"][0], answer["scores"][0])
    likely = found[:, 0] > 0.02
    assert likely.sum() > 20
    np.testing.assert_allclose(found[likely], expected[likely], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(("name", "truth"), [("face", FACE), ("plate", PLATE)])
def test_the_object_is_found(catalog: Catalog, name: str, truth: tuple[int, int, int, int]) -> None:
    """And nothing else is: the boxes over the threshold, of which a mask is the union, lie around it and hold it."""
    answer = run(load(catalog, name), street()[None])
    (spec,) = (each for each in catalog.specs if each.name == name)
    boxes = answer["boxes"][0][answer["scores"][0] >= spec.threshold]
    assert len(boxes)
    x1, y1 = boxes[:, :2].min(0)
    x2, y2 = boxes[:, 2:].max(0)
    for found, real in zip((x1, y1, -x2, -y2), (truth[0], truth[1], -truth[2], -truth[3]), strict=True):
        assert found < real + 8
    width, height = truth[2] - truth[0], truth[3] - truth[1]
    assert (np.abs(boxes[:, :2] + boxes[:, 2:] - np.array(truth[:2]) - truth[2:]) < (width, 2 * height)).all()


def test_a_face_is_found_less_well_in_bgr(catalog: Catalog) -> None:
    """What order the plate's network takes is held by the tests that compare it with the trained one."""
    rgb, bgr = run(load(catalog, "face"), np.stack([street(), street()[..., ::-1]]))["scores"][:, 0]
    assert bgr < rgb


def test_the_repository_of_the_project_is_meant(catalog: Catalog) -> None:
    assert catalog.root == ROOT / "model_repository"
    assert [spec.label for spec in catalog.specs] == ["face/1", "plate/5"]
    assert {spec.max_detections for spec in catalog.specs} == {SLOTS}
