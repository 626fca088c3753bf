"""The Triton engine: tiles go over gRPC as raw uint8, one client per process, a deadline on each call.

Error translation follows what Triton 2.51 does (measured): a full queue, a queue timeout, a dead server and a
restricted protocol all come as UNAVAILABLE and differ only in their text.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from service.detection.contract import INPUT, Array, broken, check_tiles, output_shapes, validated
from service.detection.detector import LATER, SOON, TileBoxes, Tiles
from service.detection.shared_tiles import SharedTiles
from service.errors import DetectionFailed, DetectorTimeout, DetectorUnavailable
from service.models.catalog import ModelSpec
from service.models.triton_config import CHECKSUM, version_checksum

CHANNEL_OPTIONS: Final = (
    # Given options replace all of tritonclient's own, so its unlimited messages are repeated here.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # A peer that vanished without a word is noticed after this, not when TCP gives up.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 2),
)

CHECK_SECONDS = 5.0
"""Longest wait for an answer to a readiness question."""

LOAD_SECONDS = 600.0
"""A plan of TensorRT may take minutes to load and to warm up."""

CONTROL_KEY = "triton-grpc-protocol-admin-key"
"""Header of `--grpc-restricted-protocol=model-repository:admin-key=…`."""

_BUSY = ("Exceeds maximum queue size", "Request timeout expired")
_UNKNOWN_REGION = "shared memory region"
_TYPES = {"float32": "FP32", "int32": "INT32"}
_FREE_DIMENSION = -1


def connect(url: str) -> InferenceServerClient:
    """The client that all detectors of a process share; `url` is host:port. Connects when first used; close it."""
    return InferenceServerClient(url, channel_args=list(CHANNEL_OPTIONS))


async def load(client: InferenceServerClient, name: str, *, key: str | None = None) -> tuple[str, ...]:
    """Makes the server take over what its repository has of the model `name`; gives the versions that it serves then.

    A version that stays is not interrupted, one that goes finishes what it has begun, and if a new one cannot be
    loaded everything stays as it was. `key`: where the server restricts model control. Raises DetectorUnavailable.
    """
    headers = None if key is None else {CONTROL_KEY: key}
    try:
        await client.load_model(name, headers=headers, client_timeout=LOAD_SECONDS)
        metadata = await client.get_model_metadata(name, as_json=True, client_timeout=CHECK_SECONDS)
    except InferenceServerException as error:
        raise DetectorUnavailable(
            f"The server did not load {name}.", cause=f"Triton says {error.status()}: {error.message()}"
        ) from error
    return tuple(metadata.get("versions", ()))


class TritonDetector:
    """One model on a Triton server. `timeout`: seconds within which a batch must be answered.

    `shared`: memory that tiles are handed over in, where the server can map it; else they go in messages.
    """

    def __init__(
        self, spec: ModelSpec, client: InferenceServerClient, *, timeout: float, shared: SharedTiles | None = None
    ) -> None:
        self._spec = spec
        self._shared = shared
        self._client = client
        self._timeout = timeout
        self._outputs = [InferRequestedOutput(name) for name in output_shapes(spec)]

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @property
    def max_batch(self) -> int:
        return self._spec.max_batch

    @property
    def any_size(self) -> bool:
        """Never: an engine is built for tiles of one size."""
        return False

    async def detect(self, tiles: Tiles) -> TileBoxes:
        """As `Detector.detect`."""
        check_tiles(tiles, self._spec, self.max_batch)
        async with self._translated():
            result = await self._sent(tiles)
        answer: dict[str, Array] = {}
        for name in output_shapes(self._spec):
            try:
                values = result.as_numpy(name)
            except ValueError as error:  # bytes and shape do not agree
                raise broken(self._spec, f"{name}: {error}") from error
            if values is not None:
                answer[name] = values
        return validated(answer, self._spec, len(tiles))

    async def _sent(self, tiles: Tiles) -> InferResult:
        """The server's answer, by shared memory if it may be and can be. Raises InferenceServerException."""
        if self._shared is not None:
            capacity = self.max_batch * self._spec.tile_height * self._spec.tile_width * 3
            async with self._shared.lent(tiles, capacity) as lent:
                if lent is not None:
                    try:
                        return await self._infer(lent)
                    except InferenceServerException as error:
                        if _UNKNOWN_REGION not in (error.message() or ""):
                            raise
                        self._shared.forget()
        given = InferInput(INPUT, list(tiles.shape), "UINT8")
        given.set_data_from_numpy(tiles)
        return await self._infer(given)

    async def _infer(self, given: InferInput) -> InferResult:
        return await self._client.infer(
            self._spec.name,
            [given],
            model_version=self._spec.version,
            outputs=self._outputs,
            client_timeout=self._timeout,
        )

    async def check(self) -> None:
        """As `Detector.check`: ready, of the contract's names, types and shapes, and made from the catalog's file."""
        name, version = self._spec.name, self._spec.version
        seconds = min(self._timeout, CHECK_SECONDS)
        async with self._translated():
            # Metadata first: of a model that is not there it says so, where readiness is only false.
            metadata, config, ready = await asyncio.gather(
                self._client.get_model_metadata(name, version, as_json=True, client_timeout=seconds),
                self._client.get_model_config(name, version, as_json=True, client_timeout=seconds),
                self._client.is_model_ready(name, version, client_timeout=seconds),
            )
        if not ready:
            raise DetectorUnavailable(cause=f"{self._spec.label}: not ready on Triton", retry_after=LATER)
        self._compare_metadata(metadata)
        self._compare_config(config["config"])

    async def close(self) -> None:
        """Nothing to give back: the client belongs to whoever connected it."""

    def _compare_metadata(self, metadata: Mapping[str, Any]) -> None:
        spec = self._spec
        wanted_inputs = {INPUT: ("UINT8", [_FREE_DIMENSION, spec.tile_height, spec.tile_width, 3])}
        wanted_outputs = {
            name: (_TYPES[dtype], [_FREE_DIMENSION, *shape]) for name, (dtype, shape) in output_shapes(spec).items()
        }
        for kind, wanted in (("inputs", wanted_inputs), ("outputs", wanted_outputs)):
            found = {
                each["name"]: (each["datatype"], [int(side) for side in each["shape"]])
                for each in metadata.get(kind, ())
            }
            if found != wanted:
                raise broken(spec, f"{kind} on Triton are {found}, not {wanted}")

    def _compare_config(self, config: Mapping[str, Any]) -> None:
        spec = self._spec
        if int(config.get("max_batch_size", 0)) < spec.max_batch:
            raise broken(spec, f"Triton takes {config.get('max_batch_size', 0)} tiles at once, not {spec.max_batch}")
        parameters = config.get("parameters", {})
        own = parameters.get(version_checksum(spec)) or parameters.get(CHECKSUM, {})
        made_from = own.get("string_value")
        if made_from != spec.sha256:
            raise broken(spec, f"Triton's model was made from the file {made_from}, the catalog says {spec.sha256}")

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """Triton's failures as ours."""
        try:
            yield
        except InferenceServerException as error:
            raise self._translate(error) from error

    def _translate(self, error: InferenceServerException) -> DetectionFailed:
        status, text = error.status() or "", error.message() or ""
        cause = f"{self._spec.label}: Triton says {status}: {text}"
        match status.removeprefix("StatusCode."):
            case "DEADLINE_EXCEEDED":
                return DetectorTimeout(cause=cause, retry_after=LATER)
            case "INVALID_ARGUMENT" | "RESOURCE_EXHAUSTED" | "OUT_OF_RANGE" | "UNIMPLEMENTED":
                return broken(self._spec, f"Triton says {status}: {text}")
            case "UNAVAILABLE" if any(sign in text for sign in _BUSY):
                return DetectorUnavailable(cause=cause, retry_after=SOON)
            case _:
                # NOT_FOUND, INTERNAL, CANCELLED and what else says that the server cannot serve now.
                return DetectorUnavailable(cause=cause, retry_after=LATER)
