"""TensorRT's parser and builder take the shipped graphs in every precision. Opt-in: the wheels are proprietary.

TensorRT for RTX has the parser and the strong typing of the TensorRT that a Triton server builds with, and needs no GPU
to build. It is evidence, no proof: the plan that is served is built, and proven, on the server's own GPU.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from service.models.catalog import Catalog, ModelSpec
from service.models.variants import Precision, write_variant
from tests.pictures import street
from tests.service_process import ROOT

WHEELS = Path(os.environ.get("TENSORRT_RTX", ROOT / ".cache" / "tensorrt-rtx"))
INSTALL = (
    f"not installed: pip install --no-deps --target {WHEELS.name} "
    "tensorrt-rtx-cu13-libs==1.7.1.116 tensorrt-rtx-cu13-bindings==1.7.1.116 (into .cache, or name it by TENSORRT_RTX)"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not (WHEELS / "tensorrt_rtx_bindings").is_dir(), reason=f"TensorRT for RTX is {INSTALL}"),
]


def built(*files: Path) -> list[dict[str, object]]:
    """What the builder says of each file, in a process of its own: what it crashes is not the tests."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("rtx_build.py")), *map(str, files)],
        env={**os.environ, "PYTHONPATH": str(WHEELS)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def tiles(_: ModelSpec) -> Iterator[npt.NDArray[np.uint8]]:
    yield street()[None]


@pytest.mark.parametrize("precision", list(Precision))
def test_each_precision_becomes_a_plan(catalog: Catalog, tmp_path: Path, precision: Precision) -> None:
    made = write_variant(catalog, tmp_path, precision, tiles, print)
    results = built(*(made.file(spec) for spec in made.specs))
    assert [each["errors"] for each in results] == [[], []]
    assert all(isinstance(each["bytes"], int) and each["bytes"] > 100_000 for each in results)


def test_a_graph_that_cannot_be_parsed_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(catalog.file(catalog.specs[0]))
    next(node for node in model.graph.node if node.op_type == "TopK").op_type = "NoSuchOperator"
    onnx.save(model, tmp_path / "broken.onnx")
    (result,) = built(tmp_path / "broken.onnx")
    assert result["errors"]
    assert result["bytes"] == 0
