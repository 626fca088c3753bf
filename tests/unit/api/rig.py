"""A service with real parts (SQLite, the pipeline, admission) behind detectors whose answers are known."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI

from service.admission import Admission
from service.api.application import create_api
from service.api.problems import MEDIA_TYPE
from service.api.schemas import ProblemDocument
from service.api.services import OptionRules, PanoramaxRules, Services, UploadLimits
from service.cubes import CubeAnonymizer
from service.detection.detector import TileBoxes, Tiles
from service.detection.tiled import TiledDetection
from service.errors import DetectionFailed
from service.imaging.source import SourceLimits
from service.imaging.turbojpeg import load
from service.models.catalog import ModelSpec
from service.observability.metrics import Metrics
from service.policy import Policy, Shape
from service.records.audit import AuditLog
from service.records.database import Database
from service.records.key import Role, Terms
from service.records.keys import KeyRepository
from service.records.quotas import QuotaRepository
from service.records.repository import ReceiptRepository
from service.records.reviews import ReviewRepository
from service.records.signing_keys import SigningKeyRepository
from service.records.statistics import StatisticsRepository

TILE = 640


class KnownDetector:
    """Finds one object in the same corner of every tile; waits while `gate` is closed, fails with `failure`."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.max_batch, self.any_size = spec.max_batch, False
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.failure: BaseException | None = None
        self.checks = 0

    async def detect(self, tiles: Tiles) -> TileBoxes:
        self.entered.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.failure is not None:
            raise self.failure
        n, k = len(tiles), self.spec.max_detections
        boxes, scores = np.zeros((n, k, 4), np.float32), np.zeros((n, k), np.float32)
        boxes[:, 0], scores[:, 0] = (20, 30, 60, 90), 0.9
        return TileBoxes(boxes, scores)

    async def check(self) -> None:
        self.checks += 1
        if isinstance(self.failure, DetectionFailed):
            raise self.failure

    async def close(self) -> None: ...


def spec_of(name: str, shape: Shape) -> ModelSpec:
    return ModelSpec(
        name=name,
        version="1",
        classes=(name,),
        tile_height=TILE,
        tile_width=TILE,
        max_detections=4,
        max_batch=4,
        sha256="ab" * 32,
        license="MIT",
        threshold=0.5,
        margin=0.1,
        shape=shape,
    )


@dataclass(frozen=True)
class Rig:
    """The services of one test, and the parts that tests turn."""

    services: Services
    database: Database
    face: KnownDetector
    plate: KnownDetector

    def app(self, **changes: object) -> FastAPI:
        return create_api(replace(self.services, **changes))  # type: ignore[arg-type]

    def client(self, app: FastAPI | None = None, address: str = "127.0.0.1") -> httpx.AsyncClient:
        """A client at `address`."""
        transport = httpx.ASGITransport(app or self.app(), client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url="http://veil.test")

    async def token(self, role: Role, **terms: Any) -> tuple[str, str]:
        """A new key's id and token; `terms` as `Terms` has them."""
        key, token = await self.services.keys.create(f"{role}-{secrets.token_hex(8)}", role, Terms(**terms))
        return key.id, token

    async def receipts(self) -> list[dict[str, object]]:
        page = await self.services.receipts.page(limit=100)
        return [{"id": str(r.id), "outcome": r.outcome.value, "problem": r.problem, "r": r} for r in page.receipts]


@asynccontextmanager
async def build_rig(
    folder: Path, *, workers: int = 2, queue: int = 8, wait_seconds: float = 10.0
) -> AsyncIterator[Rig]:
    database = Database.connect(f"sqlite:///{folder / 'veil.db'}")
    await database.migrate()
    face, plate = KnownDetector(spec_of("face", Shape.ELLIPSE)), KnownDetector(spec_of("plate", Shape.BOX))
    specs = (face.spec, plate.spec)
    with ThreadPoolExecutor(2) as cpu:
        detection = TiledDetection([face, plate], engine="onnxruntime", overlap=96, concurrency=2, cpu=cpu)
        receipts = ReceiptRepository(database)
        services = Services(
            anonymizer=CubeAnonymizer(
                detection=detection,
                receipts=receipts,
                cpu=cpu,
                limits=SourceLimits(20_000_000, 10_000),
                secret=b"secret",
                turbojpeg=load(),
            ),
            admission=Admission(workers=workers, queue=queue, wait_seconds=wait_seconds),
            receipts=receipts,
            audit=AuditLog(database),
            signing_keys=SigningKeyRepository(database),
            reviews=ReviewRepository(database),
            statistics=StatisticsRepository(database),
            keys=KeyRepository(database),
            quotas=QuotaRepository(database),
            keys_needed=False,
            rules=OptionRules(Policy(classes=tuple(c for s in specs for c in s.class_policies()))),
            uploads=UploadLimits(max_bytes=32 * 1024 * 1024, timeout=20.0),
            models=specs,
            engine="onnxruntime",
            check_database=database.check,
            check_detectors=detection.check,
            metrics=Metrics("test", "onnxruntime"),
            panoramax=PanoramaxRules((ip_network("127.0.0.0/8"),), hold_seconds=20.0),
        )
        try:
            yield Rig(services, database, face, plate)
        finally:
            await database.close()


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = response.json()
    ProblemDocument.model_validate(body)
    assert (body["type"], body["status"]) == (f"/problems/{slug}", status)
    assert body["request_id"] == response.headers["x-request-id"]
    return body
