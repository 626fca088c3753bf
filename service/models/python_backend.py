"""Triton python backend that runs a model's ONNX file on the CPU; `export` copies it beside the file as `model.py`.

For a tritonserver that has neither a GPU nor the ONNX Runtime backend, above all the one of the tests. It runs inside
Triton, so it imports nothing of the service. Tensors cross by DLPack: with older backends, NumPy 2 and `as_numpy()`
give uninitialized memory without an error.
"""

import ctypes
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

NUMPY_MAJOR = 2


class TritonPythonModel:
    """One instance of the model; Triton's interface gives names and signatures."""

    def initialize(self, args: dict[str, str]) -> None:
        if int(np.__version__.split(".")[0]) < NUMPY_MAJOR:
            raise pb_utils.TritonModelException("this backend needs NumPy 2")
        config = json.loads(args["model_config"])
        self._outputs = [each["name"] for each in config["output"]]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = Path(args["model_repository"], args["model_version"], "model.onnx")
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        tiles = np.from_dlpack(pb_utils.get_input_tensor_by_name(request, "tiles"))
        # Tile by tile: a batch gains nothing on a CPU and takes its size in memory.
        answers = [self._session.run(self._outputs, {"tiles": tile[np.newaxis]}) for tile in tiles]
        tensors = [
            _tensor(name, np.concatenate([answer[i] for answer in answers])) for i, name in enumerate(self._outputs)
        ]
        return pb_utils.InferenceResponse(tensors)


def _tensor(name: str, values: np.ndarray[Any, Any]) -> Any:
    capsule = values.__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    # The tensor owns the memory now. The backend marks that by another name than NumPy looks for when it drops the
    # capsule, and NumPy would complain at each one.
    ctypes.pythonapi.PyCapsule_SetDestructor(ctypes.py_object(capsule), None)
    return tensor
