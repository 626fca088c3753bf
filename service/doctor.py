"""`veil doctor`: what is wrong with this deployment, in plain words, each finding with the way out."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from service.app.detectors import as_computed, open_detectors
from service.app.failure import StartError
from service.app.records import connect, read_signer, retention_of
from service.app.serving import tls_files
from service.app.veil import default_policy
from service.errors import RecordStoreUnavailable, VeilError
from service.imaging import turbojpeg
from service.models.catalog import Catalog, ForProcessors
from service.models.verify import verify_files
from service.records import migrations
from service.records.keys import KeyRepository
from service.settings import Engine, Settings, SettingsError
from service.tls import TlsError

SOON_DAYS = 7
"""What renews certificates has failed for weeks if one ends that soon."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, and what was seen or how to fix it."""

    subject: str
    ok: bool
    text: str


async def examine() -> AsyncIterator[Finding]:
    """Looks at settings, models, engine, database and keys, in that order; goes on after a failure where it can."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        yield Finding("settings", False, str(error))
        return
    yield Finding("settings", True, "every VEIL_ variable names a setting and has a valid value")
    catalog: Catalog | None = None
    try:
        catalog = Catalog.read(settings.models.repository)
        default_policy(settings, catalog)
    except (OSError, ValueError, StartError) as error:
        yield Finding("models", False, f"{error}")
    if catalog is not None:
        async for finding in _models(settings, catalog):
            yield finding
    yield _libturbojpeg()
    secured = _tls(settings)
    if secured is not None:
        yield secured
    yield _signing(settings)
    yield _retention(settings)
    async for finding in _records(settings):
        yield finding


def _signing(settings: Settings) -> Finding:
    try:
        signer = read_signer(settings)
    except StartError as error:
        return Finding("signing", False, str(error))
    if signer is None:
        text = "no key: receipts are not signed, and nothing can be proven; 'veil keys signing new FILE' makes one"
        return Finding("signing", True, text)
    return Finding("signing", True, f"receipts are signed with the key {signer.public.kid}")


def _retention(settings: Settings) -> Finding:
    kept = {name: days for name, days in asdict(retention_of(settings)).items() if days is not None}
    if not kept:
        return Finding("retention", True, "none set: records are kept for good (VEIL_RETENTION__…)")
    return Finding(
        "retention", True, ", ".join(f"{name.removesuffix('_days')} {days} days" for name, days in kept.items())
    )


def _tls(settings: Settings) -> Finding | None:
    try:
        files = tls_files(settings.tls)
        if files is None:
            return None
        files.context()
        left = files.expires_at() - datetime.now(UTC)
    except (StartError, TlsError) as error:
        return Finding("tls", False, str(error))
    return Finding("tls", left.days >= SOON_DAYS, f"the certificate ends in {left.days} days")


def _libturbojpeg() -> Finding:
    library = turbojpeg.load()
    if library is None:
        text = (
            "missing: JPEGs are encoded anew, not only changed under their masks; on Debian: apt install libturbojpeg0"
        )
        return Finding("libturbojpeg", False, text)
    return Finding("libturbojpeg", True, f"{library.version}: JPEGs are changed under their masks only")


async def _models(settings: Settings, catalog: Catalog) -> AsyncIterator[Finding]:
    embedded = settings.detection.engine is Engine.EMBEDDED
    problems = verify_files(catalog)
    if problems and embedded:
        for problem in problems:
            yield Finding("models", False, f"{problem}; run 'veil models build'")
        return
    catalog = as_computed(settings, catalog)
    if embedded:
        reduced = {label for label, kind in catalog.files.items() if kind is ForProcessors.INT8}
        labels = (f"{s.label} in 8 bits" if s.label in reduced else s.label for s in catalog.wanted)
        yield Finding("models", True, ", ".join(f"{label} matches its checksum" for label in labels))
    try:
        async with open_detectors(settings, catalog) as detectors:
            for detector in detectors:
                name = f"{settings.detection.engine} {detector.spec.label}"
                try:
                    await detector.check()
                    yield Finding(name, True, "answers, fulfills the contract and reproduces its golden answers")
                except VeilError as error:
                    yield Finding(name, False, f"{error.detail} {error.cause or ''}".strip() + _engine_hint(settings))
    except VeilError as error:
        yield Finding(str(settings.detection.engine), False, f"{error.detail} {error.cause or ''}".strip())


def _engine_hint(settings: Settings) -> str:
    if settings.detection.engine is Engine.EMBEDDED:
        return ""
    return " (VEIL_DETECTION__TRITON_URL is host:port of Triton's gRPC endpoint; is the server up, the model loaded?)"


async def _records(settings: Settings) -> AsyncIterator[Finding]:
    try:
        database = connect(settings)
    except ValueError as error:
        yield Finding("database", False, str(error))
        return
    try:
        current, head = await database.current_revision(), database.head_revision()
        if not migrations.serves(current):
            if current is not None and current not in migrations.known():
                yield Finding("database", False, f"a newer version made its schema ({current}): start that one")
            elif settings.database.migrate:
                yield Finding("database", True, f"reachable; the next start brings its schema to {head}")
            else:
                said = f"the schema is at {current or 'nothing'}, not {head}: run 'veil migrate'"
                yield Finding("database", False, said)
            return
        yield Finding("database", True, f"reachable, schema at {current}")
        has_keys = await KeyRepository(database).any_active()
        if settings.keys_needed and not has_keys:
            yield Finding("keys", False, "none yet: run 'veil keys create --name NAME --role anonymize'")
        elif not settings.server.loopback and not settings.keys_needed:
            yield Finding("keys", False, "switched off on a network address: unset VEIL_ACCESS__KEYS")
        elif settings.keys_needed:
            yield Finding("keys", True, "needed, and at least one is active")
        else:
            yield Finding("keys", True, "not needed: the service listens on loopback only")
    except RecordStoreUnavailable as error:
        yield Finding("database", False, f"{error.cause or error.detail}; check VEIL_DATABASE__URL")
    finally:
        await database.close()
