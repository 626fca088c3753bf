"""What the routes need, built once by the composition root and handed over: the API knows no global and no setting."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from service.admission import Admission
from service.cubes import CubeAnonymizer
from service.detection.memory import DetectionMemory
from service.errors import VeilError
from service.models.catalog import ModelSpec
from service.observability.metrics import Metrics
from service.policy import Policy
from service.records.audit import AuditLog
from service.records.keys import KeyRepository
from service.records.quotas import QuotaRepository
from service.records.repository import ReceiptRepository
from service.records.reviews import ReviewRepository
from service.records.signing_keys import SigningKeyRepository
from service.records.statistics import StatisticsRepository


@dataclass(frozen=True, slots=True)
class OptionRules:
    """What a request may ask for: `defaults` is the policy of one that names no options, with every known class."""

    defaults: Policy
    allow_exclude: bool = False


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """`max_bytes` of the picture itself; `timeout` in seconds for the whole upload.

    `least_rate`: bytes a second at which it must come in, measured over `PACE_SECONDS`; 0 for none.
    """

    max_bytes: int
    timeout: float
    least_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class PanoramaxRules:
    """How the blur API of Panoramax is served: to whom, how long a request is held, whether annotations are given.

    `memory`: makes repeats of the same upload cheap.
    """

    networks: tuple[IPv4Network | IPv6Network, ...]
    hold_seconds: float = 300.0
    annotations: bool = False
    memory: DetectionMemory = field(default_factory=DetectionMemory)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the routes.

    `check_database` and `check_detectors` ask whether the parts can serve right now; they answer with the failure of
    each, by name, and None where there is none. `draining` is set once the process has been told to stop.
    `models` are the wanted versions, `serving` gives those that answer at the moment (None: the wanted ones).
    `panoramax`: None where the blur API is switched off. `page`: whether the page is shown at the root.
    `origins`: those of pages elsewhere that may call the API, as browsers name them.
    """

    anonymizer: CubeAnonymizer
    admission: Admission
    receipts: ReceiptRepository
    audit: AuditLog
    signing_keys: SigningKeyRepository
    reviews: ReviewRepository
    statistics: StatisticsRepository
    keys: KeyRepository
    quotas: QuotaRepository
    keys_needed: bool
    rules: OptionRules
    uploads: UploadLimits
    models: tuple[ModelSpec, ...]
    engine: str
    check_database: Callable[[], Awaitable[None]]
    check_detectors: Callable[[], Awaitable[dict[str, VeilError | None]]]
    metrics: Metrics
    panoramax: PanoramaxRules | None = None
    page: bool = True
    origins: tuple[str, ...] = ()
    serving: Callable[[], tuple[ModelSpec, ...]] | None = None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
