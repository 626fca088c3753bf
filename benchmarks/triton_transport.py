"""Tiles to a real tritonserver in messages and in shared memory, by turns; a model that costs next to nothing.

`python -m benchmarks.triton_transport`
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from service.detection.shared_tiles import SharedTiles
from service.detection.triton import TritonDetector, connect
from service.models.catalog import Catalog
from service.models.export import export_repository
from tests.toy import write_toy
from tests.triton.server import TritonProcess

SIDE = 640
ROUNDS = 30


async def measure(folder: Path) -> None:
    spec = write_toy(
        folder / "models", "red", side=SIDE, spec={"tile_width": SIDE, "tile_height": SIDE, "max_batch": 8}
    )
    export_repository(Catalog(folder / "models", [spec]), folder / "repository", "python")
    with TritonProcess(folder / "server", repository=folder / "repository") as server:
        client = connect(server.url)
        shared = SharedTiles(client)
        ways = {
            "message": TritonDetector(spec, client, timeout=60),
            "shared memory": TritonDetector(spec, client, timeout=60, shared=shared),
        }
        for batch in (1, 8):
            tiles = np.random.default_rng(0).integers(0, 256, (batch, SIDE, SIDE, 3), np.uint8)
            taken: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, detector in ways.items():
                    began = time.perf_counter()
                    await detector.detect(tiles)
                    taken[name].append(1000 * (time.perf_counter() - began))
            message, memory = (statistics.median(each) for each in taken.values())
            print(
                f"{batch} tiles: message {message:.1f} ms, shared memory {memory:.1f} ms, {message / memory:.2f} times"
            )
        await shared.close()
        await client.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
