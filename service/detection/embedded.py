"""The embedded engine: ONNX Runtime in this process, on a pool of threads that all models and requests share.

Each tile is a run of its own on one thread. On a CPU a batch gains nothing, and threads that help each other within a
run, or spin for work, take from the requests beside them (measured: half the throughput).
"""

import asyncio
import ctypes
import functools
import hashlib
from concurrent.futures import Executor, Future
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime as ort

from service.detection.contract import INPUT, Array, broken, check_tiles, output_shapes, validated
from service.detection.detector import TileBoxes, Tiles
from service.errors import DetectorUnavailable
from service.models.catalog import ANY_SIDES, ModelSpec

_M_MMAP_THRESHOLD, _MMAP_BYTES = -3, 4 * 1024 * 1024
_TYPES = {"float32": "tensor(float)", "int32": "tensor(int32)"}


class OnnxDetector:
    """One ONNX file; `pool` computes its tiles.

    Raises DetectorUnavailable if the file cannot be read, DetectorContractBroken if it is not the one of the catalog or
    has other inputs and outputs than the contract.
    """

    def __init__(self, spec: ModelSpec, file: Path, *, pool: Executor) -> None:
        self._spec = spec
        self._pool = pool
        self._session = _load(spec, file)
        self._names = list(output_shapes(spec))
        self._any_size = isinstance(self._session.get_inputs()[0].shape[1], str)
        self._shrink = ort.RunOptions()
        self._shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._waiting = 0
        self._lock = Lock()
        self._proven = False

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @property
    def max_batch(self) -> int:
        return self._spec.max_batch

    @property
    def any_size(self) -> bool:
        """Whether the file says so, by sides that have names."""
        return self._any_size

    async def detect(self, tiles: Tiles) -> TileBoxes:
        """As `Detector.detect`. When cancelled, tiles that no thread has begun are never computed."""
        check_tiles(tiles, self._spec, self.max_batch, any_size=self._any_size)
        runs: list[Future[list[Array]]] = []
        try:
            for tile in tiles:
                runs.append(self._pool.submit(self._run, tile[np.newaxis]))
                self._count(+1)
            answers = await asyncio.gather(*map(asyncio.wrap_future, runs))
        except RuntimeError as error:  # the pool was shut down
            raise DetectorUnavailable(cause=f"{self._spec.label}: {error}") from error
        finally:
            for run in runs:
                if run.cancel():
                    self._count(-1)
        together = {name: np.concatenate([answer[i] for answer in answers]) for i, name in enumerate(self._names)}
        return validated(together, self._spec, len(tiles))

    async def check(self) -> None:
        """As `Detector.check`: the first time computes a tile; after that what was loaded cannot change."""
        if not self._proven:
            await self.detect(np.zeros((1, self._spec.tile_height, self._spec.tile_width, 3), np.uint8))
            self._proven = True

    async def close(self) -> None:
        """Nothing to give back: the pool belongs to whoever made it."""

    def _count(self, change: int) -> int:
        """Tiles that wait for a thread, after `change`."""
        with self._lock:
            self._waiting += change
            return self._waiting

    def _run(self, tile: Tiles) -> list[Array]:
        """The outputs for one tile (1, height, width, 3). If no other waits, unused memory is given back at the end."""
        options = None if self._count(-1) > 0 else self._shrink
        try:
            return list(self._session.run(self._names, {INPUT: tile}, options))
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise DetectorUnavailable(cause=f"{self._spec.label}: {error}") from error


def _load(spec: ModelSpec, file: Path) -> ort.InferenceSession:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DetectorUnavailable(cause=f"{spec.label}: the file cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != spec.sha256:
        raise broken(spec, "the file does not match the catalog's checksum")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    _share_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise broken(spec, f"ONNX Runtime refuses the file: {error}") from error
    _check_signature(session, spec)
    return session


@functools.cache
def _share_memory() -> None:
    """One arena for all sessions of the process, and large blocks of it from the system itself.

    Without an arena a tile takes half as long again, in page faults. Measured idle after a load, both models, two
    threads: 180 MB; 350 MB where the C library keeps what the arena gave back, which it does unless told that blocks of
    this size are the system's (mallopt(3); other libraries than glibc have no such memory).
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    as_requested = {"max_mem": 0, "arena_extend_strategy": 1, "initial_chunk_size_bytes": -1}
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(as_requested | {"max_dead_bytes_per_chunk": -1}))


def _check_signature(session: ort.InferenceSession, spec: ModelSpec) -> None:
    """Names, types and shapes of the file's inputs and outputs are those of the contract, with the batch free.

    So may be both sides of the tile, by name.
    """
    expected = {name: (_TYPES[dtype], list(shape)) for name, (dtype, shape) in output_shapes(spec).items()}
    found = {each.name: (each.type, each.shape[1:]) for each in session.get_outputs()}
    if found != expected:
        raise broken(spec, f"outputs are {found}, not {expected}")
    inputs = {each.name: (each.type, each.shape[1:]) for each in session.get_inputs()}
    wanted = {INPUT: ("tensor(uint8)", [spec.tile_height, spec.tile_width, 3])}
    if inputs not in (wanted, {INPUT: ("tensor(uint8)", [*ANY_SIDES, 3])}):
        raise broken(spec, f"inputs are {inputs}, not {wanted}")
