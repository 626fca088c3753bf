"""Tiles on one thread of ONNX Runtime and of OpenVINO's processor plugin, by turns, and whether they find the same.

`bash requirements/tools.sh openvino`, then `python -m benchmarks.openvino_engine`
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.pictures import street
from service.models.catalog import Catalog, ModelSpec

ROOT = Path(__file__).parents[1]
INSTALLED = ROOT / ".cache" / "openvino"
REPOSITORY = ROOT / "model_repository"
TILES, ROUNDS = 12, 5

Run = Callable[[np.ndarray], dict[str, np.ndarray]]


def main() -> None:
    site = next(INSTALLED.glob("lib/python*/site-packages"), None)
    if site is None:
        sys.exit("OpenVINO is not there: run bash requirements/tools.sh openvino")
    sys.path.append(str(site))
    for spec in Catalog.read(REPOSITORY).specs:
        _compare(spec)


def _compare(spec: ModelSpec) -> None:
    file = REPOSITORY / spec.name / str(spec.version) / "model.onnx"
    engines: dict[str, Run] = {"ONNX Runtime": _onnxruntime(file), "OpenVINO": _openvino(file)}
    picture = street(4 * spec.tile_width, 3 * spec.tile_height)
    tiles = [
        np.ascontiguousarray(picture[None, y : y + spec.tile_height, x : x + spec.tile_width])
        for y in range(0, picture.shape[0], spec.tile_height)
        for x in range(0, picture.shape[1], spec.tile_width)
    ][:TILES]
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for run in engines.values():
        run(tiles[0])
    for _ in range(ROUNDS):
        for name, run in engines.items():
            began = time.process_time()
            for tile in tiles:
                run(tile)
            taken[name].append((time.process_time() - began) / len(tiles))
    one, other = (statistics.median(each) for each in taken.values())
    print(f"{spec.label}: ONNX Runtime {one * 1000:.1f} ms a tile, OpenVINO {other * 1000:.1f} ms: {one / other:.2f} ×")
    print(f"  {_alike(engines, tiles, spec)}")


def _onnxruntime(file: Path) -> Run:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return lambda tile: dict(zip(names, session.run(names, {"tiles": tile}), strict=True))


def _openvino(file: Path) -> Run:
    import openvino

    core: Any = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(file), "CPU", settings)
    return lambda tile: {each.any_name: np.array(value) for each, value in compiled(tile).items()}


def _alike(engines: dict[str, Run], tiles: list[np.ndarray], spec: ModelSpec) -> str:
    """How the two answers differ in what is over the recommended threshold."""
    counts, worst = [0, 0], 0.0
    for tile in tiles:
        answers = [run(tile) for run in engines.values()]
        sure = [answer["scores"][0] >= spec.threshold for answer in answers]
        counts = [count + int(each.sum()) for count, each in zip(counts, sure, strict=True)]
        if sure[0].sum() == sure[1].sum() and sure[0].any():
            one, other = (answer["boxes"][0][each] for answer, each in zip(answers, sure, strict=True))
            worst = max(worst, float(np.abs(one - other).max()))
    return f"{counts[0]} and {counts[1]} boxes over the threshold, at most {worst:.3f} pixels apart"


if __name__ == "__main__":
    main()
