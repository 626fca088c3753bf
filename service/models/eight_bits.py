"""A detector in 8 bits for processors that multiply them (VNNI): the same file each time, from committed ranges.

Calibration, with pictures, is done once and kept (`source/eight_bits.npz`); the file is made from it wherever models
are built. Activations are unsigned and weights signed, each with a range of its own, as ONNX Runtime's kernels for
processors want them. Everything from the tiles to the last convolutions is in 8 bits; what comes behind (the scores,
cell numbers and coordinates, a second stage) is not.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto

from service.models.any_size import in_single_precision, take_any_size
from service.models.bytes_in import read_bytes
from service.models.catalog import Catalog, ForProcessors, ModelError, ModelSpec
from service.models.counted import count_places
from service.models.equalize import Scales, equalize, extremes, scales
from service.models.variants import CONVOLUTIONS, Tiles, body, named, ordered
from service.models.verify import verify_file

FILE = Path("source", "eight_bits.npz")
"""Relative to the model's folder."""

KINDS = (*CONVOLUTIONS, "Relu", "Clip", "Add", "Resize", "MaxPool", "AveragePool")
"""Operators that have 8 bits."""


@dataclass(frozen=True)
class Calibration:
    """What pictures showed. `scales`: by group of `service.models.equalize`. `ranges`: by tensor, (2,), its lowest and
    highest value after that.
    """

    scales: Mapping[str, Scales]
    ranges: Mapping[str, npt.NDArray[np.float32]]

    def write(self, file: Path) -> None:
        arrays = {f"scale {name}": each for name, each in self.scales.items()}
        arrays |= {f"range {name}": each for name, each in self.ranges.items()}
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub takes no names from a mapping

    @classmethod
    def read(cls, file: Path) -> "Calibration":
        """Raises ModelError if it cannot be read."""
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in kept.files}
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise ModelError(f"{file}: cannot be read ({error}); run 'veil models calibrate'") from error
        return cls(_of(arrays, "scale "), _of(arrays, "range "))


def _of(arrays: Mapping[str, npt.NDArray[np.float32]], kind: str) -> dict[str, npt.NDArray[np.float32]]:
    return {name.removeprefix(kind): each for name, each in arrays.items() if name.startswith(kind)}


def calibrate(content: bytes, tiles: Iterable[Tiles]) -> Calibration:
    """The calibration of the file `content` by `tiles` (1, height, width, 3). Raises ModelError if there is none."""
    model, shown = named(onnx.load_from_string(content)), list(tiles)
    if not shown:
        raise ModelError("there is no picture to calibrate by; name a folder with some")
    found = scales(model, shown)
    equalize(model, found)
    ends = extremes(model, sorted(_tensors(model)), shown, (1, 2, 3))
    ranges = {name: np.array([low[0], high[0]], np.float32) for name, (low, high) in ends.items()}
    return Calibration(found, ranges)


def in_eight_bits(content: bytes, calibration: Calibration) -> bytes:
    """The file `content` in 8 bits. Raises ModelError if the calibration is of another one."""
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = named(onnx.load_from_string(content))
    if _tensors(model) != set(calibration.ranges):
        raise ModelError("the calibration is of another network; run 'veil models calibrate'")
    try:
        equalize(model, calibration.scales)
    except (KeyError, ValueError) as error:
        raise ModelError(f"the calibration is of another network ({error}); run 'veil models calibrate'") from error
    ranges = {name: (each[:1], each[1:]) for name, each in calibration.ranges.items()}
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
        nodes_to_quantize=sorted(_chosen(model)),
        nodes_to_exclude=[],
        op_types_to_quantize=list(KINDS),
        extra_options={},
    )
    quantizer.quantize_model()
    reduced = quantizer.model.model
    del reduced.graph.value_info[:]  # of shapes as they were
    read_bytes(reduced)
    count_places(reduced)
    take_any_size(reduced)
    return ordered(reduced)


def recalibrate(catalog: Catalog, spec: ModelSpec, tiles: Iterable[Tiles]) -> str:
    """Calibrates `spec` of `catalog` by `tiles`; writes that, files for processors and checksums. The one in 8 bits.

    Raises ModelError if the model's own file does not match its checksum or there is no tile, OSError if something
    cannot be written.
    """
    problem = verify_file(catalog, spec)
    if problem is not None:
        raise ModelError(f"nothing was written: {problem}")
    content = catalog.file(spec).read_bytes()
    calibration = calibrate(content, tiles)
    made = {ForProcessors.INT8: in_eight_bits(content, calibration), ForProcessors.FP32: in_single_precision(content)}
    checksums = {kind: hashlib.sha256(each).hexdigest() for kind, each in made.items() if each is not None}
    calibration_file = catalog.root / spec.name / FILE
    calibration_file.parent.mkdir(parents=True, exist_ok=True)
    calibration.write(calibration_file)
    entry = catalog.entry(spec)
    described = json.loads(entry.read_text(encoding="utf-8"))
    entry.write_text(json.dumps(described | checksums, indent=2) + "\n", encoding="utf-8")
    for kind, each in made.items():
        if each is not None:
            Catalog.read(catalog.root).for_processors(kind).file(spec).write_bytes(each)
    return checksums[ForProcessors.INT8]


def _chosen(model: ModelProto) -> set[str]:
    """Names of the nodes that get 8 bits: a tile has no more, so the first convolution is among them."""
    inside = body(model.graph, with_first=True)
    return {node.name for node in model.graph.node if node.op_type in KINDS and node.name in inside}


def _tensors(model: ModelProto) -> set[str]:
    """What the chosen nodes read and make, weights left out."""
    weights = {each.name for each in model.graph.initializer}
    chosen = _chosen(model)
    read = {
        name
        for node in model.graph.node
        if node.name in chosen
        for name in (*(node.input[:1] if node.op_type != "Add" else node.input), *node.output)
    }
    return read - weights
