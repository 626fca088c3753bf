"""`config.pbtxt` of a model for Triton, from one template for every engine.

The settings are those of Triton's ModelConfig (triton-inference-server/common, model_config.proto). The contract's
names, types and shapes are in it, and the checksum of the ONNX file that the engine was made from, by which a client
tells what it talks to.
"""

from collections.abc import Sequence
from enum import StrEnum

from service.models.catalog import ModelSpec

CHECKSUM = "onnx_sha256"
"""Name of the parameter that carries the checksum; with several versions, of each, `<name>_<version>`."""

QUEUE_DELAY_MICROSECONDS = 2000
"""How long Triton waits for more tiles to fill a batch."""

QUEUE_SIZE = 256
"""Batches that may wait; more are refused at once instead of piling up."""


class TritonEngine(StrEnum):
    """What computes the model inside Triton: a GPU plan, or the ONNX file on CPUs by either backend."""

    TENSORRT = "tensorrt"
    ONNXRUNTIME = "onnxruntime"
    PYTHON = "python"


FILES = {TritonEngine.TENSORRT: "model.plan", TritonEngine.ONNXRUNTIME: "model.onnx", TritonEngine.PYTHON: "model.py"}

_TEMPLATE = """\
name: "{name}"
backend: "{engine}"
default_model_filename: "{file}"
max_batch_size: {max_batch}
version_policy {{ specific {{ versions: [ {versions} ] }} }}
input [
  {{ name: "tiles" data_type: TYPE_UINT8 dims: [ {height}, {width}, 3 ] }}
]
output [
  {{ name: "boxes" data_type: TYPE_FP32 dims: [ {slots}, 4 ] }},
  {{ name: "scores" data_type: TYPE_FP32 dims: [ {slots} ] }}{labels}
]
instance_group [ {{ kind: {kind} count: 1 }} ]
dynamic_batching {{
  max_queue_delay_microseconds: {delay}
  default_queue_policy {{ max_queue_size: {queue} }}
}}
parameters {{ key: "{checksum}" value {{ string_value: "{sha256}" }} }}
{extra}"""

_LABELS = ',\n  {{ name: "labels" data_type: TYPE_INT32 dims: [ {slots} ] }}'

_WARM_UP = """\
model_warmup [
  {{
    name: "full batch"
    batch_size: {max_batch}
    inputs {{ key: "tiles" value {{ data_type: TYPE_UINT8 dims: [ {height}, {width}, 3 ] random_data: true }} }}
  }}
]
"""

_VERSION = 'parameters {{ key: "{name}" value {{ string_value: "{sha256}" }} }}\n'

_ONE_THREAD = """\
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
parameters { key: "inter_op_thread_count" value { string_value: "1" } }
"""


def version_checksum(spec: ModelSpec) -> str:
    """Name of the parameter that carries the checksum of this version, where a server has several."""
    return f"{CHECKSUM}_{spec.version}"


def triton_config(spec: ModelSpec, engine: TritonEngine, others: Sequence[ModelSpec] = ()) -> str:
    """The text of `config.pbtxt` for `spec`, and `others` of its versions beside it, on `engine`."""
    on_gpu = engine is TritonEngine.TENSORRT
    values = {
        "name": spec.name,
        "engine": engine.value,
        "file": FILES[engine],
        "max_batch": spec.max_batch,
        "versions": ", ".join(each.version for each in (spec, *others)),
        "height": spec.tile_height,
        "width": spec.tile_width,
        "slots": spec.max_detections,
        "kind": "KIND_GPU" if on_gpu else "KIND_CPU",
        # Waiting for a fuller batch gains nothing on a CPU.
        "delay": QUEUE_DELAY_MICROSECONDS if on_gpu else 0,
        "queue": QUEUE_SIZE,
        "checksum": CHECKSUM,
        "sha256": spec.sha256,
    }
    labels = _LABELS.format(**values) if len(spec.classes) > 1 else ""
    extra = _WARM_UP.format(**values) if on_gpu else ""
    if engine is TritonEngine.ONNXRUNTIME:
        extra = _ONE_THREAD
    if others:
        extra += "".join(_VERSION.format(name=version_checksum(e), sha256=e.sha256) for e in (spec, *others))
    return _TEMPLATE.format(labels=labels, extra=extra, **values)
