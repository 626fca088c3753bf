"""The composition root: builds everything once, closes everything. Nobody else constructs infrastructure."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import cv2

from service import __version__
from service.admission import Admission
from service.api.services import OptionRules, PanoramaxRules, Services, UploadLimits
from service.capacity import picture_memory
from service.cubes import CubeAnonymizer
from service.detection.detector import Detector
from service.detection.embedded import OnnxDetector
from service.detection.proven import ProvenDetector
from service.detection.tiled import TiledDetection
from service.detection.turns import TurnPool
from service.detection.versions import VersionedDetector
from service.errors import RecordStoreUnavailable
from service.imaging import turbojpeg
from service.imaging.source import SourceLimits
from service.imaging.turbojpeg import TurboJpeg
from service.models.catalog import Catalog, ModelSpec
from service.models.golden import Golden
from service.models.verify import verify_file, verify_files
from service.observability.logs import get_logger
from service.observability.metrics import Metrics
from service.policy import ClassPolicy, Policy
from service.records.audit import AuditLog
from service.records.database import Database
from service.records.keys import KeyRepository
from service.records.quotas import QuotaRepository
from service.records.repository import ReceiptRepository
from service.records.retention import Retention
from service.records.reviews import ReviewRepository
from service.records.signing import Signer, SigningKeyError
from service.records.signing_keys import SigningKeyRepository
from service.records.statistics import StatisticsRepository
from service.settings import Engine, Settings, Tls
from service.tls import TlsFiles

logger = get_logger(__name__)

AHEAD = 2
"""Tiles that are ready before a thread is."""

DATABASE_PATIENCE = 30.0
"""Seconds for which a start waits for a database that is still coming up."""


class StartError(Exception):
    """The service cannot start; the message says how to fix it."""


@dataclass(frozen=True, slots=True)
class Veil:
    """Everything that is built once for a process."""

    settings: Settings
    catalog: Catalog
    database: Database
    receipts: ReceiptRepository
    keys: KeyRepository
    detection: TiledDetection
    anonymizer: CubeAnonymizer
    admission: Admission
    policy: Policy


@asynccontextmanager
async def open_veil(settings: Settings) -> AsyncIterator[Veil]:
    """Builds everything from `settings` and closes it at the end. Raises StartError if it cannot be built."""
    # Pictures have threads of the CPU pool: OpenCV's own threads would only contend with them.
    cv2.setNumThreads(1)
    async with AsyncExitStack() as stack:
        catalog = read_catalog(settings)
        database = await stack.enter_async_context(open_database(settings))
        # Two threads for each picture: the first tiles are cut while it is still being decoded.
        cpu = ThreadPoolExecutor(2 * settings.admission.workers, thread_name_prefix="image")
        stack.callback(cpu.shutdown, wait=True, cancel_futures=True)
        detectors = await stack.enter_async_context(open_detectors(settings, catalog))
        detection = tiled_detection(settings, detectors, cpu)
        await stack.enter_async_context(proving(detection, settings.models.verify_minutes))
        receipts = ReceiptRepository(database)
        signer = read_signer(settings)
        if signer is not None:
            await SigningKeyRepository(database).register(signer.public)
        embedded_threads = inference_threads(settings) if settings.detection.engine is Engine.EMBEDDED else 0
        yield Veil(
            settings=settings,
            catalog=catalog,
            database=database,
            receipts=receipts,
            keys=KeyRepository(database),
            detection=detection,
            anonymizer=CubeAnonymizer(
                detection=detection,
                receipts=receipts,
                cpu=cpu,
                limits=SourceLimits(settings.limits.max_pixels, settings.limits.max_side),
                secret=noise_secret(settings),
                keep_detections=settings.records.detections,
                turbojpeg=find_turbojpeg(),
                sign=None if signer is None else signer.sign,
            ),
            admission=Admission(
                workers=settings.admission.workers,
                queue=settings.admission.queue,
                wait_seconds=settings.admission.wait_seconds,
                memory=settings.admission.memory_bytes or picture_memory(embedded_threads),
            ),
            policy=default_policy(settings, catalog),
        )


def find_turbojpeg() -> TurboJpeg | None:
    """The platform's libturbojpeg; without it, the service works on and says so."""
    library = turbojpeg.load()
    if library is None:
        logger.warning("libturbojpeg-missing", effect="JPEGs are encoded anew, not only changed under their masks")
    return library


def read_signer(settings: Settings) -> Signer | None:
    """What signs receipts, None if the deployment gives no key. Raises StartError if what it gives is none."""
    if settings.signing.key is None:
        return None
    try:
        return Signer.read(settings.signing.key.get_secret_value())
    except SigningKeyError as error:
        raise StartError(f"VEIL_SIGNING__KEY cannot be used: {error}") from error


def retention_of(settings: Settings) -> Retention:
    """How long the deployment keeps records."""
    given = settings.retention
    return Retention(given.receipts_days, given.detections_days, given.audit_days)


def read_catalog(settings: Settings) -> Catalog:
    """The model catalog, its files checked against their checksums."""
    try:
        catalog = Catalog.read(settings.models.repository)
    except (OSError, ValueError) as error:
        raise StartError(f"The model catalog cannot be read: {error}") from error
    if settings.detection.engine is Engine.EMBEDDED:
        problems = verify_files(catalog)
        if problems:
            listed = "\n  ".join(str(problem) for problem in problems)
            raise StartError(f"The model files are not the ones of the catalog:\n  {listed}\nRun 'veil models build'.")
    return catalog


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The record store, its schema up to date if the settings allow, waited for while it is still coming up."""
    try:
        database = Database.connect(
            settings.database.url.get_secret_value(),
            pool_size=settings.database.pool_size,
            timeout=settings.database.timeout,
        )
    except ValueError as error:
        raise StartError(f"VEIL_DATABASE__URL cannot be used: {error}") from error
    try:
        deadline = asyncio.get_running_loop().time() + DATABASE_PATIENCE
        while True:
            try:
                if settings.database.migrate:
                    await database.migrate()
                await database.check()
                break
            except RecordStoreUnavailable as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise StartError(
                        f"The record store cannot be used: {error.cause or error.detail}\n"
                        "Check VEIL_DATABASE__URL, and run 'veil doctor' for details."
                    ) from error
                logger.warning("waiting-for-database", cause=error.cause)
                await asyncio.sleep(0.5)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_detectors(settings: Settings, catalog: Catalog) -> AsyncIterator[Sequence[Detector]]:
    """One detector for each model of the catalog, behind the configured engine, each answering only while proven."""
    try:
        golden = {
            spec.label: Golden.read(catalog, spec) for wanted in catalog.specs for spec in catalog.versions(wanted)
        }
    except ValueError as error:
        raise StartError(f"Golden answers cannot be read: {error}\nRun 'veil models golden'.") from error
    if settings.detection.engine is Engine.TRITON:
        from service.detection import triton
        from service.detection.shared_tiles import SharedTiles

        client = triton.connect(settings.detection.triton_url)
        shared = SharedTiles(client) if settings.detection.triton_shared_memory else None
        timeout = settings.detection.timeout
        try:
            yield [
                VersionedDetector(
                    [
                        ProvenDetector(
                            triton.TritonDetector(spec, client, timeout=timeout, shared=shared), golden[spec.label]
                        )
                        for spec in catalog.versions(wanted)
                    ]
                )
                for wanted in catalog.specs
            ]
        finally:
            if shared is not None:
                await shared.close()
            await client.close()
        return
    pool = TurnPool(inference_threads(settings), "inference")
    try:
        yield [
            VersionedDetector(
                [
                    ProvenDetector(
                        OnnxDetector(spec, catalog.file(spec), pool=pool),
                        golden[spec.label],
                        partial(wrong_file, catalog, spec),
                    )
                ]
            )
            for spec in catalog.specs
        ]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def wrong_file(catalog: Catalog, spec: ModelSpec) -> str | None:
    """What is wrong with the file of `spec`, None if nothing is."""
    problem = verify_file(catalog, spec)
    return None if problem is None else problem.text


def tls_files(tls: Tls) -> TlsFiles | None:
    """The files of TLS, None where the API speaks plain HTTP. Raises StartError if one of them is not named."""
    if tls.certificate is None and tls.key is None and tls.client_ca is None:
        return None
    if tls.certificate is None or tls.key is None:
        raise StartError("TLS needs both VEIL_TLS__CERTIFICATE and VEIL_TLS__KEY.")
    return TlsFiles(tls.certificate, tls.key, tls.client_ca)


@asynccontextmanager
async def proving(detection: TiledDetection, minutes: float) -> AsyncIterator[None]:
    """Proves the models again every so many `minutes` while the block runs; the first use does it the first time."""

    async def work() -> None:
        while True:
            await asyncio.sleep(minutes * 60)
            await detection.prove()

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def inference_threads(settings: Settings) -> int:
    """Tiles that the embedded engine computes at the same time."""
    return settings.detection.threads or len(os.sched_getaffinity(0))


def tiled_detection(settings: Settings, detectors: Sequence[Detector], cpu: Executor) -> TiledDetection:
    """All detectors, fed as suits the engine: the embedded one computes single tiles and gets them so, a few ahead.

    Batches would gain it nothing, need memory and keep other pictures waiting. Raises StartError if a model's tiles are
    not larger than the overlap.
    """
    for each in detectors:
        if settings.detection.overlap >= min(each.spec.tile_width, each.spec.tile_height):
            raise StartError(
                f"VEIL_DETECTION__OVERLAP is {settings.detection.overlap}; it must be smaller than the tiles of "
                f"{each.spec.label}."
            )
    embedded = settings.detection.engine is Engine.EMBEDDED
    return TiledDetection(
        detectors,
        engine=engine_name(settings),
        overlap=settings.detection.overlap,
        concurrency=inference_threads(settings) + AHEAD if embedded else settings.detection.concurrency,
        batch=1 if embedded else None,
        blank=settings.detection.blank_contrast,
        cpu=cpu,
    )


def engine_name(settings: Settings) -> Literal["onnxruntime", "triton"]:
    """The engine as receipts name it."""
    return "triton" if settings.detection.engine is Engine.TRITON else "onnxruntime"


def default_policy(settings: Settings, catalog: Catalog) -> Policy:
    """The policy of a request that names no options: the catalog's, with the deployment's own thresholds."""
    known = {each.name: each for spec in catalog.specs for each in spec.class_policies()}
    unknown = sorted(set(settings.defaults.threshold) - set(known))
    if unknown:
        raise StartError(f"VEIL_DEFAULTS__THRESHOLD names {unknown}, but the models know only {sorted(known)}.")
    classes: list[ClassPolicy] = [
        each.model_copy(update={"threshold": settings.defaults.threshold.get(name, each.threshold)})
        for name, each in known.items()
    ]
    return Policy(
        classes=tuple(classes),
        effort=settings.defaults.effort,
        quality=settings.defaults.quality,
        verify=settings.defaults.verify,
        residual=settings.defaults.residual,
        metadata_owner=settings.metadata.owner,
        metadata_allow=settings.metadata.allow,
        nadir_mask=settings.panorama.nadir_mask_deg,
    )


def noise_secret(settings: Settings) -> bytes:
    """The key of the noise inside masks; one for this process if the deployment gives none."""
    if settings.obscuring.secret is None:
        return secrets.token_bytes(32)
    return settings.obscuring.secret.get_secret_value().encode()


def option_rules(veil: Veil) -> OptionRules:
    """What requests to this deployment may ask for."""
    return OptionRules(defaults=veil.policy, allow_exclude=veil.settings.access.allow_exclude)


def services(veil: Veil) -> Services:
    """What the API needs of `veil`."""
    settings = veil.settings
    metrics = Metrics(__version__, engine_name(settings))
    metrics.watch_models(
        [spec.name for spec in veil.catalog.specs],
        proven=lambda name: veil.detection.proven[name],
        version=lambda name: next(spec.version for spec in veil.detection.serving if spec.name == name),
    )
    return Services(
        anonymizer=veil.anonymizer,
        admission=veil.admission,
        receipts=veil.receipts,
        audit=AuditLog(veil.database),
        signing_keys=SigningKeyRepository(veil.database),
        reviews=ReviewRepository(veil.database),
        statistics=StatisticsRepository(veil.database),
        keys=veil.keys,
        quotas=QuotaRepository(veil.database),
        keys_needed=settings.keys_needed,
        rules=option_rules(veil),
        uploads=UploadLimits(
            settings.limits.max_upload_bytes, settings.server.upload_timeout, settings.server.upload_rate
        ),
        models=veil.catalog.specs,
        engine=engine_name(settings),
        check_database=veil.database.check,
        check_detectors=veil.detection.check,
        serving=lambda: veil.detection.serving,
        metrics=metrics,
        panoramax=panoramax_rules(settings),
        page=settings.page.enabled,
        origins=settings.cors.origins,
    )


def panoramax_rules(settings: Settings) -> PanoramaxRules | None:
    """How the blur API is served, None where it is switched off."""
    networks = settings.panoramax_networks
    if not networks:
        return None
    return PanoramaxRules(networks, settings.panoramax.hold_seconds, settings.panoramax.annotations)


async def require_keys(veil: Veil) -> None:
    """Refuses a start that would leave the service open to a network. Raises StartError saying how to fix it."""
    settings = veil.settings
    if not settings.server.loopback and not settings.keys_needed:
        raise StartError(
            f"The service would listen on {settings.server.host} without API keys (VEIL_ACCESS__KEYS=false).\n"
            "Unset VEIL_ACCESS__KEYS and create a key, or listen on 127.0.0.1."
        )
    if settings.keys_needed and not await veil.keys.any_active():
        raise StartError(
            f"The service would listen on {settings.server.host}, and there is no API key yet.\n"
            "Create one with: veil keys create --name NAME --role anonymize"
        )
