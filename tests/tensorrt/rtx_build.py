"""Builds plans of ONNX files with TensorRT for RTX, for one GPU architecture, without a GPU; run as a program.

`python rtx_build.py FILE…` prints a JSON object for each file: `errors` of the parser, `bytes` of the plan (0: none).
"""

import json
import sys
from pathlib import Path

import tensorrt_rtx_bindings as trt


def build(content: bytes) -> dict[str, object]:
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(0)  # strongly typed: precision is the file's
    parser = trt.OnnxParser(network, log)
    if not parser.parse(content):
        return {"errors": [parser.get_error(i).desc() for i in range(parser.num_errors)], "bytes": 0}
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    for at in range(network.num_inputs):
        name, side = network.get_input(at).name, tuple(network.get_input(at).shape)[1:]
        profile.set_shape(name, (1, *side), (4, *side), (8, *side))
    config.add_optimization_profile(profile)
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    plan = builder.build_serialized_network(network, config)
    return {"errors": [], "bytes": 0 if plan is None else len(memoryview(plan))}


for each in sys.argv[1:]:
    sys.stdout.write(json.dumps(build(Path(each).read_bytes())) + "\n")
