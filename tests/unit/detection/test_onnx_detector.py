"""The embedded engine with small real ONNX files."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.detection.contract import Array
from service.detection.embedded import OnnxDetector
from service.errors import DetectorContractBroken, DetectorUnavailable
from tests.toy import NOT_FINITE, RISING, SWAPPED, TOO_HIGH, write_toy


def load(root: Path, pool: ThreadPoolExecutor, spec: dict[str, Any] | None = None, **graph: Any) -> OnnxDetector:
    entry = write_toy(root, spec=spec, **graph)
    return OnnxDetector(entry, root / "toy" / "1" / "model.onnx", pool=pool)


def tiles(count: int) -> np.ndarray:
    """Tile i has one red cell at row 2 and column i."""
    made = np.zeros((count, 64, 64, 3), np.uint8)
    for i in range(count):
        made[i, 8:12, 4 * i : 4 * i + 4, 0] = 255
    return made


async def test_every_tile_gets_its_own_answer(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    detector = load(tmp_path, pool)
    answer = await detector.detect(tiles(4))
    assert answer.scores[:, 0].tolist() == [1, 1, 1, 1]
    assert answer.scores[:, 1:].max() == 0
    assert answer.boxes[:, 0].tolist() == [[4 * i + 2 - 6, 4, 4 * i + 2 + 6, 16] for i in range(4)]


async def test_check_computes_a_tile_once(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    detector = load(tmp_path, pool)
    await detector.check()
    pool.shutdown()
    await detector.check()


def test_a_file_that_is_not_the_catalogs_is_refused(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    entry = write_toy(tmp_path)
    file = tmp_path / "toy" / "1" / "model.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(DetectorContractBroken) as caught:
        OnnxDetector(entry, file, pool=pool)
    assert "checksum" in (caught.value.cause or "")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    entry = write_toy(tmp_path)
    with pytest.raises(DetectorUnavailable) as caught:
        OnnxDetector(entry, tmp_path / "none.onnx", pool=pool)
    assert "No such file" in (caught.value.cause or "")
    assert str(tmp_path) not in (caught.value.cause or "")


@pytest.mark.parametrize(
    "spec",
    [{"tile_width": 96}, {"max_detections": 16}, {"classes": ("a", "b")}],
    ids=["tile", "slots", "labels"],
)
def test_a_file_with_another_signature_is_refused(
    tmp_path: Path, pool: ThreadPoolExecutor, spec: dict[str, Any]
) -> None:
    with pytest.raises(DetectorContractBroken) as caught:
        load(tmp_path, pool, spec)
    assert "not {" in (caught.value.cause or "")


@pytest.mark.parametrize("graph", [NOT_FINITE, SWAPPED, RISING, TOO_HIGH], ids=["nan", "swapped", "rising", "high"])
async def test_a_model_that_breaks_the_contract_is_an_error(
    tmp_path: Path, pool: ThreadPoolExecutor, graph: dict[str, Any]
) -> None:
    detector = load(tmp_path, pool, **graph)
    with pytest.raises(DetectorContractBroken):
        await detector.detect(tiles(1))


class Counting(OnnxDetector):
    """Notes each tile that is computed."""

    computed = 0

    def _run(self, tile: np.ndarray) -> list[Array]:
        self.computed += 1
        return super()._run(tile)


class FirstFails(Counting):
    """Fails at the first tile, and holds the second until it is released."""

    def __init__(self, *given: Any, pool: ThreadPoolExecutor) -> None:
        super().__init__(*given, pool=pool)
        self.release = threading.Event()

    def _run(self, tile: np.ndarray) -> list[Array]:
        answer = super()._run(tile)
        if self.computed == 1:
            raise DetectorUnavailable(cause="the first tile")
        self.release.wait(30)
        return answer


async def test_after_a_failure_the_rest_of_the_batch_is_not_computed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as single:
        detector = FirstFails(write_toy(tmp_path), tmp_path / "toy" / "1" / "model.onnx", pool=single)
        with pytest.raises(DetectorUnavailable):
            await detector.detect(tiles(4))
        detector.release.set()
    assert detector.computed <= 2


async def test_a_cancelled_request_leaves_no_work_behind(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    detector = Counting(write_toy(tmp_path), tmp_path / "toy" / "1" / "model.onnx", pool=pool)
    release = threading.Event()
    held = [pool.submit(release.wait) for _ in range(2)]
    request = asyncio.create_task(detector.detect(tiles(4)))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    release.set()
    assert all(each.result() for each in held)
    await detector.detect(tiles(1))
    assert detector.computed == 1
    assert detector._count(0) == 0, "a tile that was never computed is still counted as waiting"
