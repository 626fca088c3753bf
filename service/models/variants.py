"""The same detectors in half precision and in 8 bits, in the contract, each as a model repository of its own.

For TensorRT; what the embedded engine computes in 8 bits is `service/models/eight_bits.py`.

TensorRT 11 takes the precision from the file (strongly typed), so it is made here: by converting or by inserting
quantization pairs (QDQ). What turns bytes into the network's first convolution, the last convolutions and everything
behind them stay in single precision: cell numbers and coordinates need it, and the scores are compared there. So does a
second stage, which is such a branch behind them.

Needs the extra `build` (ONNX), as `veil models build` does.
"""

import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import GraphProto, ModelProto

from service.models.catalog import Catalog, ModelError, ModelSpec
from service.models.contract import prune, reads
from service.models.equalize import equalize, scales
from service.models.verify import verify_files

Tiles = npt.NDArray[np.uint8]
Calibration = Callable[[ModelSpec], Iterable[Tiles]]
"""Tiles (1, height, width, 3) of pictures like those that the model will see."""

CONVOLUTIONS = ("Conv", "ConvTranspose")
INPUT = "tiles"


class Precision(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def write_variant(
    catalog: Catalog, target: Path, precision: Precision, calibration: Calibration, progress: Callable[[str], None]
) -> Catalog:
    """Writes every model of `catalog` in `precision` to `target`, with its own checksum; the new catalog.

    `calibration` is asked for INT8 only. Raises ModelError if a source file does not match its checksum, `target` has
    a catalog already or no picture is given, OSError if it cannot be written.
    """
    problems = verify_files(catalog)
    if problems:
        raise ModelError("nothing was written: " + "; ".join(map(str, problems)))
    if any(target.glob("*/model.json")):
        raise ModelError(f"{target} already holds models; name another folder")
    for spec in catalog.specs:
        progress(f"{spec.label}: {precision}")
        content = catalog.file(spec).read_bytes()
        if precision is Precision.FP16:
            content = half(content)
        elif precision is Precision.INT8:
            content = quantized(content, calibration(spec))
        changed = spec.model_copy(update={"sha256": hashlib.sha256(content).hexdigest(), "int8": None, "fp32": None})
        file = target / spec.name / spec.version / "model.onnx"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        document = changed.model_dump_json(indent=2, exclude_none=True)
        (target / spec.name / "model.json").write_text(document + "\n", encoding="utf-8")
    return Catalog.read(target)


def half(content: bytes) -> bytes:
    """The file with the body of its network in half precision; input and outputs keep their types.

    Written here: the converter in ONNX Runtime breaks graphs of which a part stays as it is (repeated names).
    """
    model = named(onnx.load_from_string(content))
    graph, chosen = model.graph, body(model.graph)
    weights = {each.name: each for each in graph.initializer}
    made_by = {output: node.name for node in graph.node for output in node.output}
    casts: dict[tuple[str, int], onnx.NodeProto] = {}
    halved: dict[str, onnx.TensorProto] = {}

    def cast(name: str, to: int) -> str:
        ending = "half" if to == onnx.TensorProto.FLOAT16 else "single"
        made = f"{name}/{ending}"
        casts.setdefault((name, to), onnx.helper.make_node("Cast", [name], [made], name=made, to=to))
        return made

    for node in graph.node:
        inside = node.name in chosen
        for k, name in enumerate(node.input):
            if not name or (node.op_type == "Resize" and k > 0):  # its scales are single in any case
                continue
            if inside and name in weights:
                made = onnx.numpy_helper.from_array(
                    onnx.numpy_helper.to_array(weights[name]).astype(np.float16), f"{name}/half"
                )
                halved[made.name] = made
                node.input[k] = made.name
            elif inside != (made_by.get(name) in chosen) and (inside or name in made_by):
                node.input[k] = cast(name, onnx.TensorProto.FLOAT16 if inside else onnx.TensorProto.FLOAT)
    graph.node.extend(casts.values())
    graph.initializer.extend(halved.values())
    used = set().union(*map(reads, graph.node))
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(kept)
    return ordered(model)


def quantized(content: bytes, tiles: Iterable[Tiles]) -> bytes:
    """The file with the convolutions of its body in 8 bits, symmetric, weights per channel, as TensorRT wants them.

    Channels are equalized first. Ranges are the extremes over `tiles`. Raises ModelError if there is none.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    shown = list(tiles)
    if not shown:
        raise ModelError("there is no picture to calibrate by; name a folder with some")
    model = named(onnx.load_from_string(content))
    equalize(model, scales(model, shown))
    chosen = body(model.graph)
    convolutions = sorted(node.name for node in model.graph.node if node.op_type == "Conv" and node.name in chosen)
    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder, "plain.onnx"), Path(folder, "made.onnx")
        onnx.save(model, plain)
        logging.getLogger().setLevel(max(logging.WARNING, logging.getLogger().level))
        quantize_static(
            plain,
            made,
            _Reader(shown),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=convolutions,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
        )
        return ordered(onnx.load(made))


def body(graph: GraphProto, *, with_first: bool = False) -> set[str]:
    """Names of the nodes after the first convolution and before the last ones: those that may lose precision.

    `with_first`: the first convolution, too.
    """
    by_output = {output: node for node in graph.node for output in node.output}
    leads_to_convolution: set[str] = set()
    first: set[str] = set()
    for node in graph.node:  # in order of computation
        before = {each.name for each in map(by_output.get, node.input) if each is not None}
        if node.op_type in CONVOLUTIONS:
            leads_to_convolution |= _ancestors(node.name, graph, by_output)
        if node.op_type in CONVOLUTIONS and not _has_convolution(before, graph, by_output):
            first.add(node.name)
    after_first = {node.name for node in graph.node if _ancestors(node.name, graph, by_output) & first}
    return leads_to_convolution & (after_first | first) if with_first else leads_to_convolution & after_first - first


def _ancestors(name: str, graph: GraphProto, by_output: dict[str, onnx.NodeProto]) -> set[str]:
    """Names of every node that the node `name` depends on, itself left out."""
    nodes = {node.name: node for node in graph.node}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for each in nodes[waiting.pop()].input:
            node = by_output.get(each)
            if node is not None and node.name not in found:
                found.add(node.name)
                waiting.append(node.name)
    return found


def _has_convolution(names: set[str], graph: GraphProto, by_output: dict[str, onnx.NodeProto]) -> bool:
    kinds = {node.name: node.op_type for node in graph.node}
    everything = names.union(*(_ancestors(name, graph, by_output) for name in names))
    return any(kinds[name] in CONVOLUTIONS for name in everything)


def named(model: ModelProto) -> ModelProto:
    """`model` with a name for each node, by which converters are told what to leave alone."""
    for i, node in enumerate(model.graph.node):
        node.name = f"{i}/{node.op_type}"
    return model


def ordered(model: ModelProto) -> bytes:
    """The file, its nodes in order of computation, which converters do not keep, without those that nothing needs."""
    waiting, done = list(model.graph.node), {each.name for each in (*model.graph.initializer, *model.graph.input)}
    in_order: list[onnx.NodeProto] = []
    while waiting:
        ready = [node for node in waiting if done.issuperset(reads(node))]
        if not ready:
            raise ModelError("the converted graph has nodes whose input nothing computes")
        for node in ready:
            done.update(node.output)
        in_order += ready
        waiting = [node for node in waiting if node not in ready]
    del model.graph.node[:]
    model.graph.node.extend(in_order)
    prune(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


class _Reader:
    """What ONNX Runtime's calibration asks for: one input after the other, then None."""

    def __init__(self, tiles: Iterable[Tiles]) -> None:
        self._tiles: Iterator[Tiles] = iter(tiles)

    def get_next(self) -> dict[str, Tiles] | None:
        tile = next(self._tiles, None)
        return None if tile is None else {INPUT: tile}
