"""The groups of settings, each field with its default and what it means."""

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from service.imaging.exif_tags import resolve
from service.policy import Effort, Residual, Verify

MIB = 1024 * 1024
ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(Group):
    """Where the service listens."""

    host: str = Field("127.0.0.1", description="Address of the API. Any other than loopback needs API keys.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8080, description="Port of the API; 0 takes a free one.")
    metrics_host: str = Field("127.0.0.1", description="Address of the Prometheus metrics.")
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(9090, description="Port of the metrics; 0: a free one.")
    metrics_enabled: bool = Field(True, description="Serve Prometheus metrics on their own port.")
    upload_timeout: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Seconds within which an upload must be complete."
    )
    upload_rate: Annotated[int, Field(ge=0)] = Field(
        16_384,
        description="Least bytes a second of an upload, over 10 seconds, and of the reading of an answer; 0: no least.",
    )
    head_timeout: Annotated[float, Field(gt=0)] = Field(
        10.0, description="Seconds within which the request line and the headers must be complete."
    )
    head_bytes: Annotated[int, Field(ge=1024)] = Field(
        65_536, description="Largest request line and headers together, in bytes."
    )
    max_connections: Annotated[int, Field(ge=1)] = Field(
        2048, description="Connections at a time; one more closes the one that has waited longest without a request."
    )
    keep_alive: Annotated[int, Field(ge=1)] = Field(
        75, description="Seconds that an idle connection is kept; let a proxy in front keep its own for less."
    )
    drain_delay: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="Seconds after SIGTERM in which /readyz says so and requests are still taken, so that a balancer "
        "can look elsewhere. A second signal ends it.",
    )
    drain_timeout: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Seconds that running requests get to finish after SIGTERM."
    )

    @property
    def loopback(self) -> bool:
        """Whether the API can be reached from this machine only."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


class Tls(Group):
    """TLS of the API's port. The files are PEM; they are read again when they change, without a restart."""

    certificate: Path | None = Field(None, description="File of the certificate and its chain. Unset: plain HTTP.")
    key: Path | None = Field(None, description="File of the certificate's private key, without a password.")
    client_ca: Path | None = Field(
        None, description="File of the authorities whose certificates clients must show. Unset: none is asked for."
    )
    reload_seconds: Annotated[float, Field(gt=0)] = Field(10.0, description="Seconds between looks at the files.")


class Limits(Group):
    """What is refused before any pixel is decoded."""

    max_upload_bytes: Annotated[int, Field(gt=0)] = Field(128 * MIB, description="Largest upload in bytes.")
    max_pixels: Annotated[int, Field(gt=0)] = Field(
        150_000_000, description="Most pixels of a picture, read from its header."
    )
    max_side: Annotated[int, Field(gt=0)] = Field(65_500, description="Longest side of a picture in pixels.")


class Admission(Group):
    """How many requests are worked on, how many may wait, and for how long."""

    workers: Annotated[int, Field(ge=1)] = Field(2, description="Pictures that are processed at the same time.")
    queue: Annotated[int, Field(ge=0)] = Field(
        16, description="Requests that may wait for a worker, each with its upload in memory."
    )
    memory_bytes: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Memory for all pictures that are processed at the same time, by estimates from their headers; "
        "0: what the container's limit (else half the machine) leaves beside the process.",
    )
    wait_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, description="Longest wait for a worker, in seconds, before the answer is 429."
    )


class Engine(StrEnum):
    EMBEDDED = "embedded"
    TRITON = "triton"


class EmbeddedPrecision(StrEnum):
    AUTO = "auto"
    FP32 = "fp32"
    INT8 = "int8"


class Detection(Group):
    """Which engine answers, and how tiles are sent to it."""

    engine: Engine = Field(Engine.EMBEDDED, description="'embedded' (ONNX Runtime in this process) or 'triton'.")
    triton_url: str = Field("127.0.0.1:8001", description="host:port of Triton's gRPC endpoint.")
    triton_key: SecretStr | None = Field(
        None, description="Key of Triton's model control where it is restricted; only 'veil models load' needs it."
    )
    triton_shared_memory: bool = Field(
        False,
        description="Hand tiles to Triton in shared memory. For a server on this machine with the same user and IPC "
        "namespace; any other gets messages all the same.",
    )
    timeout: Annotated[float, Field(gt=0)] = Field(
        30.0, description="Seconds within which a detector must answer one batch of tiles."
    )
    threads: Annotated[int, Field(ge=0)] = Field(
        0, description="Embedded engine: tiles computed at the same time; 0 takes one per CPU core."
    )
    precision: EmbeddedPrecision = Field(
        EmbeddedPrecision.AUTO,
        description="Embedded engine: 'int8' computes detectors in 8 bits where there is such a file, in half the time "
        "on processors with VNNI; 'fp32' does not; 'auto' does on such processors. Receipts name the file by its "
        "checksum.",
    )
    concurrency: Annotated[int, Field(ge=1)] = Field(
        4, description="Triton: batches of one picture that are under way at the same time."
    )
    overlap: Annotated[int, Field(ge=32, le=256)] = Field(
        96, description="Overlap of neighboring tiles in pixels: any object up to this size lies whole in one."
    )
    blank_contrast: Annotated[int, Field(ge=0, le=16)] = Field(
        12,
        description="Gray levels: tiles without a local difference as large, such as clear sky, show nothing that a "
        "detector could find and are not searched; 0 searches all. Never applies to effort thorough.",
    )
    gate: bool = Field(
        True,
        description="Embedded engine: ask the detectors only about parts of tiles in which a small network sees what "
        "may be a face or a plate. Never applies to effort thorough, nor to a class whose threshold is lower than its "
        "model's.",
    )


class Models(Group):
    repository: Path = Field(Path("model_repository"), description="Folder of the models and their catalog entries.")
    verify_minutes: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Minutes after which files and golden answers are looked at again, beside at the start."
    )


class Database(Group):
    url: SecretStr = Field(
        SecretStr("sqlite:///var/veil.db"),
        description="Where receipts and keys are kept: sqlite:///path or postgresql://user:password@host/name.",
    )
    pool_size: Annotated[int, Field(ge=1)] = Field(8, description="PostgreSQL connections of one replica.")
    timeout: Annotated[float, Field(gt=0)] = Field(5.0, description="Seconds within which the database must answer.")
    migrate: bool = Field(
        True, description="Bring the schema up to date at start (safe with several replicas); else 'veil migrate'."
    )


class Access(Group):
    keys: bool | None = Field(
        None, description="Whether an API key is needed. Unset: needed unless the service listens on loopback."
    )
    allow_exclude: bool = Field(False, description="Whether callers may name areas that are left alone (exclude).")


class Records(Group):
    detections: bool = Field(True, description="Keep each detection's box in the receipt, not only the counts.")


class Retention(Group):
    """How long records are kept; unset: for good. What is removed is audited as counts."""

    receipts_days: Annotated[int | None, Field(ge=1)] = Field(None, description="Days for which receipts are kept.")
    detections_days: Annotated[int | None, Field(ge=1)] = Field(
        None, description="Days for which a receipt keeps the boxes; counts and signature stay."
    )
    audit_days: Annotated[int | None, Field(ge=30)] = Field(
        None, description="Days for which the audit is kept, at least 30."
    )
    every_hours: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Hours from one purge of the service to the next."
    )


class Signing(Group):
    key: SecretStr | None = Field(
        None,
        description="Ed25519 private key (PEM) that receipts are signed with, from 'veil keys signing new'. Unset: "
        "receipts are not signed.",
    )


class Defaults(Group):
    """The policy of a request that names no options; unset values come from the model catalog."""

    effort: Effort = Field(Effort.BALANCED, description="fast, balanced or thorough, which also finds lying heads.")
    threshold: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=dict, description='Score threshold per class, as JSON: {"face": 0.2}.'
    )
    quality: Annotated[int, Field(ge=50, le=100)] = Field(
        95, description="JPEG, WebP and AVIF quality, where re-encoded."
    )
    verify: Verify = Field(
        Verify.STRUCTURE, description="'structure', or 'redetect': search each finished picture again, thoroughly."
    )
    residual: Residual = Field(
        Residual.HIDE, description="What follows if 'redetect' finds something: accept, hide or refuse."
    )


class Obscuring(Group):
    secret: SecretStr | None = Field(
        None, description="Key of the noise that masks carry; unset: a random one for each start of the process."
    )


class Metadata(Group):
    """What the metadata modes `geo` and `keep` keep here; docs/reference/metadata.md has the lists."""

    owner: bool = Field(
        False, description="Whether 'keep' keeps names of people (artist, copyright, owner) and serial numbers."
    )
    allow: tuple[str, ...] = Field(
        (),
        description='EXIF tags that geo and keep keep besides their own, as JSON: ["ImageDescription", "0xC6D3"]. '
        "Tags that can carry a picture are refused.",
    )

    @field_validator("allow")
    @classmethod
    def _known(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted({resolve(listed) for listed in allow}))


class Panoramax(Group):
    """The blur API of Panoramax at /blur/: no keys, but a list of networks that may use it."""

    enabled: bool | None = Field(
        None, description="Whether /blur/ is there. Unset: if the service listens on loopback or networks are listed."
    )
    allow: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description='Networks whose addresses may use it, as JSON: ["10.1.0.0/16"]. Unset: this machine only.',
    )
    hold_seconds: Annotated[float, Field(ge=0)] = Field(
        300.0,
        description="Longest time that a request is held while the service is full or a part of it is not available.",
    )
    annotations: bool = Field(False, description="Whether the answer lists what was hidden, as Panoramax annotations.")


class Panorama(Group):
    """How panoramas are treated, beside what each request asks for."""

    nadir_mask_deg: Annotated[float, Field(ge=0, le=90)] = Field(
        0.0, description="Degrees around the lower pole that are hidden in every panorama: the vehicle. 0: none."
    )


class Page(Group):
    enabled: bool = Field(
        True, description="Whether the page for people is shown at `/`. The API does not depend on it."
    )


class Cors(Group):
    """Which pages of other origins may call the API from a browser. The service's own page needs no entry."""

    origins: tuple[str, ...] = Field(
        (),
        description='Origins as browsers name them, as JSON: ["https://viewer.example"]. Unset: none.',
    )

    @field_validator("origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for each in origins:
            if not ORIGIN.fullmatch(each):
                raise ValueError("give each origin as https://host or https://host:port, in lower case, without a path")
        return origins


class LogFormat(StrEnum):
    JSON = "json"
    TEXT = "text"


class Logs(Group):
    format: LogFormat = Field(LogFormat.JSON, description="'json' (one object a line) or 'text'.")
    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field("info", description="Least severity.")
