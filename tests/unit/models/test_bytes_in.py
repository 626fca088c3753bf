"""First convolutions over a tile's bytes: the same sums, by places of four pixels."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from service.models.bytes_in import TOGETHER, read_bytes, widened
from service.models.catalog import Catalog, ForProcessors
from service.models.contract import TILE
from service.models.variants import named, ordered

CHANNELS = 5
STEP = 6 / 255
"""Of what a quantized convolution gives here."""


def convolved(pixels: np.ndarray, kernel: np.ndarray, strides: list[int], pads: list[int]) -> np.ndarray:
    """ONNX Runtime's convolution of (1, channels, h, w) in floats."""
    tensor = helper.make_tensor_value_info
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=strides, pads=pads)
    values = [tensor(name, TensorProto.FLOAT, None) for name in ("x", "w", "y")]
    graph = helper.make_graph([node], "convolution", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": pixels.astype(np.float32), "w": kernel.astype(np.float32)})
    return np.asarray(found)


@pytest.mark.parametrize(("side", "stride", "left"), [(3, 2, 1), (3, 2, 0), (5, 2, 2), (6, 4, 0), (3, 4, 1), (3, 1, 1)])
def test_places_of_several_pixels_give_the_same_sums(side: int, stride: int, left: int) -> None:
    rng = np.random.default_rng(side * 10 + stride)
    kernel = rng.integers(-127, 128, (CHANNELS, 3, side, side)).astype(np.int8)
    pixels = rng.integers(0, 256, (16, 32, 3))
    columns = TOGETHER // stride
    wide, before = widened(kernel, columns, left, stride=stride)
    right = max(0, (32 // stride - 1) * stride - left + side - 32)
    expected = convolved(pixels.transpose(2, 0, 1)[None], kernel, [stride, stride], [left, left, right, right])
    places = pixels.reshape(16, 32 // TOGETHER, 3 * TOGETHER).transpose(2, 0, 1)[None]
    after = wide.shape[3] - 1 - before
    found = convolved(places, wide, [stride, 1], [left, before, right, after])[0]
    spread = found.transpose(1, 2, 0).reshape(*found.shape[1:2], -1, CHANNELS).transpose(2, 0, 1)
    np.testing.assert_array_equal(spread, expected[0])


def network(*, averaged: bool, shrink: float) -> ModelProto:
    """Tiles, normalized, averaged or not, under one convolution of even padding or of such that lies behind."""
    rng = np.random.default_rng(3)
    size, pads = (4, [0, 0, 1, 1]) if averaged else (8, [1, 1, 1, 1])
    means = "means = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(moved)" if averaged else ""
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    stem (uint8[batch, {TILE}, {TILE}, 3] tiles) => (float[batch, {size}, h, w] found)
    <float shrink = {{{shrink}}}, float offset = {{2.0}}>
    {{
        values = Cast<to = 1>(tiles)
        image = Transpose<perm = [0, 3, 1, 2]>(values)
        small = Mul(image, shrink)
        moved = Sub(small, offset)
        {means}
        seen = Conv<strides = [2, 2], kernel_shape = [3, 3], pads = {pads}>({"means" if averaged else "moved"}, w, b)
        found = Relu(seen)
    }}
    """
    model = onnx.parser.parse_model(text)
    weights = {"w": rng.normal(0, 0.2, (size, 3, 3, 3)), "b": rng.normal(0, 1, size)}
    model.graph.initializer.extend(
        numpy_helper.from_array(each.astype(np.float32), name) for name, each in weights.items()
    )
    return named(model)


def quantized(model: ModelProto, low: float, high: float) -> ModelProto:
    read = "means" if any(node.op_type == "AveragePool" for node in model.graph.node) else "moved"
    ranges = {read: (low, high), "seen": (0, 6), "found": (0, 6)}
    found = {name: (np.array([one], np.float32), np.array([two], np.float32)) for name, (one, two) in ranges.items()}
    quantizer = QDQQuantizer(
        model, per_channel=True, reduce_range=False, weight_qType=QuantType.QInt8, activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, found),
        nodes_to_quantize=[node.name for node in model.graph.node if node.op_type in ("Conv", "Relu")],
        nodes_to_exclude=[], op_types_to_quantize=["Conv", "Relu"], extra_options={},
    )  # fmt: skip
    quantizer.quantize_model()
    changed: ModelProto = quantizer.model.model
    del changed.graph.value_info[:]
    return changed


def answer(content: bytes, tiles: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # as written, on any processor
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"tiles": tiles})[0])


@pytest.mark.parametrize("averaged", [False, True])
def test_bytes_are_read_as_they_lie_and_give_what_floats_gave(averaged: bool) -> None:
    model = quantized(network(averaged=averaged, shrink=1 / 64), -2.0, 255 / 64 - 2)
    tiles = np.random.default_rng(1).integers(0, 256, (2, TILE, TILE, 3), np.uint8)
    before = answer(ordered(model), tiles)
    read_bytes(model)
    after = ordered(model)
    kinds = {node.op_type for node in onnx.load_from_string(after).graph.node}
    assert kinds == {"Reshape", "Transpose", "DequantizeLinear", "Conv", "QuantizeLinear"}
    found = answer(after, tiles)
    assert found.shape == before.shape
    assert np.ptp(before) > 2
    # Sums in another order are now and then rounded to the next number; means of bytes were rounded to bytes before.
    difference = np.abs(found - before)
    assert difference.max() < STEP * 1.01
    assert (difference > STEP / 2).mean() < (0.2 if averaged else 1e-5)


def test_what_does_not_read_the_very_bytes_stays_as_it_is() -> None:
    model = quantized(network(averaged=False, shrink=1 / 64), -3.0, 3.0)
    expected = ordered(model)
    read_bytes(model)
    assert ordered(model) == expected


@pytest.mark.parametrize(("name", "stems"), [("face", 1), ("plate", 2)])
def test_no_shipped_detector_makes_floats_of_a_tile(catalog: Catalog, name: str, stems: int) -> None:
    reduced = catalog.for_processors(ForProcessors.INT8)
    graph = onnx.load(next(reduced.file(each) for each in reduced.wanted if each.name == name)).graph
    readers = [node.op_type for node in graph.node if "tiles" in node.input]
    assert readers == ["Reshape"]
    assert sum("tiles/places" in node.input for node in graph.node) == stems
