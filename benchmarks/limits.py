"""What an equirectangular picture costs at least: bytes, pixels, tiles and the models' arithmetic. Counted, not timed.

`python -m benchmarks.limits [WIDTH]`
"""

import argparse
import math
from pathlib import Path

import onnx
from onnx import shape_inference

from service.imaging.sphere import Sphere
from service.imaging.sphere_views import PerspectiveView, plan_sphere_views
from service.imaging.views import plan_views
from service.models.catalog import Catalog
from service.policy import Effort
from service.settings import Settings


def multiplications(path: Path, height: int, width: int) -> int:
    """Multiply-accumulates of all convolutions and matrix products of the model for one tile."""
    model = onnx.load(path)
    for each in model.graph.input:
        for dimension, size in zip(each.type.tensor_type.shape.dim, (1, height, width, 3), strict=True):
            dimension.dim_value = size
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        each.name: [d.dim_value for d in each.type.tensor_type.shape.dim]
        for each in (*graph.value_info, *graph.output, *graph.input)
    }
    weights = {each.name: list(each.dims) for each in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(weights[node.input[1]][1:])
        elif node.op_type == "ConvTranspose":
            total += math.prod(shapes[node.input[0]]) * math.prod(weights[node.input[1]][1:])
        elif node.op_type == "MatMul":
            inner = (weights.get(node.input[0]) or shapes[node.input[0]])[-1]
            total += math.prod(shapes[node.output[0]]) * inner
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("width", type=int, nargs="?", default=12288)
    width = parser.parse_args().width
    height, settings = width // 2, Settings.load({})
    catalog = Catalog.read(settings.models.repository)
    specs = catalog.specs
    spec, overlap = specs[0], settings.detection.overlap
    sphere = Sphere.whole(width, height)
    print(f"{width} × {height}: {width * height / 1e6:.1f} MP, {3 * width * height / 1e6:.0f} MB as RGB")
    print(f"coefficients of a 4:2:0 JPEG: {1.5 * 2 * width * height / 1e6:.0f} MB")
    each = 0
    for one in specs:
        macs = multiplications(catalog.file(one), one.tile_height, one.tile_width)
        each += macs
        print(f"{one.label}: {macs / 1e9:.2f} GMAC per tile of {one.tile_width} × {one.tile_height}")
    if catalog.gate is not None:
        macs = multiplications(catalog.file(catalog.gate), catalog.gate.tile_height, catalog.gate.tile_width)
        print(f"{catalog.gate.label}: {macs / 1e9:.2f} GMAC per tile; what follows is without it, every tile searched")
    for effort in Effort:
        size = {"tile_width": spec.tile_width, "tile_height": spec.tile_height, "overlap": overlap, "effort": effort}
        views = plan_sphere_views(sphere, **size)  # type: ignore[arg-type]
        curved = sum(isinstance(view, PerspectiveView) for view in views)
        flat = len(plan_views(width, height, **size))  # type: ignore[arg-type]
        pixels = sum(view.width * view.height for view in views)
        tiles = pixels / (spec.tile_width * spec.tile_height)
        flops = 2 * each * tiles
        print(
            f"{effort}: {len(views)} views, {curved} of them in perspective, on {math.ceil(tiles)} tiles "
            f"({flat} if it were flat), "
            f"{pixels / (width * height):.2f} tile pixels for each of its own, "
            f"{3 * pixels / 1e6:.0f} MB of tiles, {flops / 1e12:.2f} TFLOP"
        )


if __name__ == "__main__":
    main()
