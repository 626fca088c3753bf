"""Equalization changes no answer, and brings the ranges of channels together."""

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, numpy_helper

from service.models.equalize import SHARE, equalize, extremes, groups, scales

Floats = npt.NDArray[np.float32]
SIDE = 16


def network(between: str = "Relu", branch: bool = False) -> ModelProto:
    """Widen, look at each channel by itself, narrow, beside a shortcut; channels differ a hundredfold."""
    rng = np.random.default_rng(4)
    weights: dict[str, Floats] = {
        "widen": rng.normal(0, 1, (8, 4, 1, 1)).astype(np.float32) * np.geomspace(0.1, 10, 8).reshape(8, 1, 1, 1),
        "each": rng.normal(0, 1, (8, 1, 3, 3)).astype(np.float32) * np.geomspace(5, 0.2, 8).reshape(8, 1, 1, 1),
        "narrow": rng.normal(0, 1, (4, 8, 1, 1)).astype(np.float32),
        "head": rng.normal(0, 1, (2, 4, 1, 1)).astype(np.float32),
        "bias": rng.normal(0, 1, 8).astype(np.float32),
    }
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["image", "head0"], ["start"]),
        node("Conv", ["start", "widen", "bias"], ["a"]),
        node(between, ["a"], ["b"]),
        node("Conv", ["b", "each"], ["c"], group=8, pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["d"]),
        node("Conv", ["d", "narrow"], ["e"]),
        node("Add", ["start", "e"], ["f"]),
        node("Conv", ["f", "head"], ["scores"]),
    ]
    weights["head0"] = rng.normal(0, 1, (4, 3, 1, 1)).astype(np.float32)
    if branch:
        nodes.append(node("ReduceMean", ["d"], ["mean"], keepdims=0))
    shape = [1, 3, SIDE, SIDE]
    outputs = [onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1, 2, SIDE, SIDE])]
    if branch:
        outputs.append(onnx.helper.make_tensor_value_info("mean", onnx.TensorProto.FLOAT, []))
    graph = onnx.helper.make_graph(
        nodes,
        "toy",
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape)],
        outputs,
        [numpy_helper.from_array(np.asarray(each, np.float32), name) for name, each in weights.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


IMAGE = np.random.default_rng(9).normal(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)


def answer(model: ModelProto) -> Floats:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["scores"], {"image": IMAGE})[0])


def spread(model: ModelProto) -> dict[str, float]:
    """By group: how many times as far as the narrowest channel the widest reaches."""
    found = {}
    for group in groups(model.graph):
        ends = extremes(model, group.tensors, [IMAGE], (2, 3))
        reach = np.max([np.maximum(high, -low) for low, high in ends.values()], axis=0)
        found[group.name] = float(reach.max() / reach.min())
    return found


def test_the_graph_answers_the_same_and_ranges_come_together() -> None:
    model = network()
    before, apart = answer(model), spread(model)
    equalize(model, scales(model, [IMAGE]))
    np.testing.assert_allclose(answer(model), before, rtol=1e-4, atol=1e-4)
    assert max(apart.values()) > 20
    for name, after in spread(model).items():
        assert after == pytest.approx(apart[name] ** (1 - SHARE), rel=1e-3)


def test_what_is_added_is_scaled_together() -> None:
    """Both sides of a shortcut and their sum, which convolutions make and read."""
    names = {frozenset(group.tensors) for group in groups(network().graph)}
    assert frozenset({"start", "e", "f"}) in names
    assert frozenset({"a", "b"}) in names
    assert frozenset({"c", "d"}) in names


@pytest.mark.parametrize(
    ("model", "left"),
    [(network("Sigmoid"), {"a", "b"}), (network(branch=True), {"c", "d"})],
    ids=["a bend that is not a ReLU's", "something else reads it"],
)
def test_what_cannot_be_scaled_is_left_alone(model: ModelProto, left: set[str]) -> None:
    assert not left & {name for group in groups(model.graph) for name in group.tensors}
    before = answer(model)
    equalize(model, scales(model, [IMAGE]))
    np.testing.assert_allclose(answer(model), before, rtol=1e-4, atol=1e-4)


def test_scales_of_another_network_are_refused() -> None:
    model = network()
    found = scales(model, [IMAGE])
    with pytest.raises(KeyError):
        equalize(model, {})
    name = next(iter(found))
    with pytest.raises(ValueError, match="channels"):
        equalize(model, found | {name: np.ones(3, np.float32)})
