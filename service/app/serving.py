"""What the API and its server need of a built service."""

from service import __version__
from service.api.services import OptionRules, PanoramaxRules, Services, UploadLimits
from service.app.detectors import engine_name
from service.app.failure import StartError
from service.app.veil import Veil
from service.observability.metrics import Metrics
from service.records.audit import AuditLog
from service.records.quotas import QuotaRepository
from service.records.reviews import ReviewRepository
from service.records.signing_keys import SigningKeyRepository
from service.records.statistics import StatisticsRepository
from service.settings import Settings, Tls
from service.tls import TlsFiles


def services(veil: Veil) -> Services:
    """What the API needs of `veil`."""
    settings = veil.settings
    metrics = Metrics(__version__, engine_name(settings))
    metrics.watch_models(
        list(veil.detection.versions),
        proven=lambda name: veil.detection.proven[name],
        version=lambda name: veil.detection.versions[name],
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


def option_rules(veil: Veil) -> OptionRules:
    """What requests to this deployment may ask for."""
    return OptionRules(defaults=veil.policy, allow_exclude=veil.settings.access.allow_exclude)


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


def tls_files(tls: Tls) -> TlsFiles | None:
    """The files of TLS, None where the API speaks plain HTTP. Raises StartError if one of them is not named."""
    if tls.certificate is None and tls.key is None and tls.client_ca is None:
        return None
    if tls.certificate is None or tls.key is None:
        raise StartError("TLS needs both VEIL_TLS__CERTIFICATE and VEIL_TLS__KEY.")
    return TlsFiles(tls.certificate, tls.key, tls.client_ca)
