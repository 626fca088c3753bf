"""Everything of a process, built once and closed at the end."""

import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import cv2

from service.admission import Admission
from service.app.detectors import inference_threads, open_detectors, read_catalog, tiled_detection
from service.app.failure import StartError
from service.app.records import open_database, read_signer
from service.capacity import picture_memory
from service.cubes import CubeAnonymizer
from service.detection.tiled import TiledDetection
from service.imaging import turbojpeg
from service.imaging.source import SourceLimits
from service.imaging.turbojpeg import TurboJpeg
from service.models.catalog import Catalog
from service.observability.logs import get_logger
from service.periodic import every
from service.policy import ClassPolicy, Policy
from service.records.database import Database
from service.records.keys import KeyRepository
from service.records.repository import ReceiptRepository
from service.records.signing_keys import SigningKeyRepository
from service.settings import Engine, Settings

logger = get_logger(__name__)


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
        await stack.enter_async_context(every(settings.models.verify_minutes * 60, detection.prove))
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
