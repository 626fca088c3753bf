"""Who calls and what they may do: API keys with roles, and one table that decides for every route."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends, Request

from service.api.problems import RouteNotFound
from service.api.services import Services
from service.errors import NotPermitted, QuotaExceeded, Unauthenticated
from service.records.key import Key, Role, Terms
from service.records.quotas import Taken


class Permission(StrEnum):
    """What a route needs."""

    NONE = "none"
    """Open to everybody: no picture, no record, no configuration."""
    ANONYMIZE = "anonymize"
    MODELS = "models"
    """The models, and which options there are."""

    RECEIPTS = "receipts"
    """Receipts; a key with the role 'anonymize' sees only its own."""

    REVIEWS = "reviews"
    """Samples of receipts and what a review of their pictures found."""

    KEYS = "keys"
    """API keys: who may come in, and on which terms."""

    STATISTICS = "statistics"
    """What all receipts say together."""

    AUDIT = "audit"
    """Who did what when."""

    NETWORK = "network"
    """Decided by the caller's address alone, for clients that cannot send a key."""


GRANTS: dict[Role, frozenset[Permission]] = {
    Role.ANONYMIZE: frozenset({Permission.ANONYMIZE, Permission.MODELS, Permission.RECEIPTS}),
    Role.READ: frozenset({Permission.MODELS, Permission.RECEIPTS}),
    Role.REVIEW: frozenset({Permission.MODELS, Permission.RECEIPTS, Permission.REVIEWS}),
    Role.ADMIN: frozenset(Permission),
}

ROUTES: dict[tuple[str, str], Permission] = {
    ("POST", "/v1/anonymize"): Permission.ANONYMIZE,
    ("POST", "/v1/detect"): Permission.ANONYMIZE,
    ("GET", "/v1/receipts"): Permission.RECEIPTS,
    ("GET", "/v1/receipts/export"): Permission.RECEIPTS,
    ("GET", "/v1/receipts/{id}"): Permission.RECEIPTS,
    ("GET", "/v1/receipts/{id}/proof"): Permission.RECEIPTS,
    ("GET", "/v1/statistics"): Permission.STATISTICS,
    ("GET", "/v1/audit"): Permission.AUDIT,
    ("POST", "/v1/samples"): Permission.REVIEWS,
    ("GET", "/v1/samples/{id}"): Permission.REVIEWS,
    ("POST", "/v1/samples/{id}/verdicts"): Permission.REVIEWS,
    ("GET", "/v1/models"): Permission.MODELS,
    ("GET", "/v1/options"): Permission.MODELS,
    ("GET", "/v1/keys"): Permission.KEYS,
    ("POST", "/v1/keys"): Permission.KEYS,
    ("GET", "/v1/keys/{id}"): Permission.KEYS,
    ("DELETE", "/v1/keys/{id}"): Permission.KEYS,
    ("POST", "/blur/"): Permission.NETWORK,
    ("POST", "/blur"): Permission.NETWORK,
    ("GET", "/blur/"): Permission.NETWORK,
    ("GET", "/blur"): Permission.NETWORK,
    ("GET", "/.well-known/veil-keys.json"): Permission.NONE,
    ("GET", "/livez"): Permission.NONE,
    ("GET", "/readyz"): Permission.NONE,
    ("GET", "/problems/{slug}"): Permission.NONE,
    ("GET", "/openapi.json"): Permission.NONE,
    ("GET", "/docs"): Permission.NONE,
    ("GET", "/docs/static/{name}"): Permission.NONE,
    ("GET", "/"): Permission.NONE,
    ("GET", "/page/{path:path}"): Permission.NONE,
}
"""Every route there is; one that is missing here is refused (and a test fails)."""


NOT_LISTED = "This address is open only to the networks that the deployment lists."


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request: a key's id and role, or nobody in particular where no keys are needed."""

    id: str | None = None
    role: Role = Role.ADMIN
    key: Key | None = None

    @property
    def terms(self) -> Terms:
        return Terms() if self.key is None else self.key.terms

    @property
    def only_own(self) -> bool:
        """Whether this caller sees no receipts but its own."""
        return self.role is Role.ANONYMIZE


def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(get_services)]


async def authorize(request: Request, services: ServicesOf) -> None:
    """Runs before every route; afterwards `request.state.caller` is set.

    Raises Unauthenticated, NotPermitted or QuotaExceeded, and RouteNotFound where the route is switched off.
    """
    needed = ROUTES.get((request.method, request.scope["route"].path))
    if needed is Permission.NONE:
        return
    if needed is Permission.NETWORK:
        _require_network(request, services)
        request.state.caller = Caller(role=Role.ANONYMIZE)
        return
    caller = await _authenticate(request, services)
    request.state.caller = caller
    if needed is None or needed not in GRANTS[caller.role]:
        raise NotPermitted
    if caller.key is not None and caller.key.terms.quota:
        picture = needed is Permission.ANONYMIZE
        grant(request, await services.quotas.take_request(caller.key, picture=picture))


def grant(request: Request, taken: Taken) -> None:
    """Notes the quotas for the answer. Raises QuotaExceeded if one of them refuses."""
    request.state.quotas = taken.levels
    if taken.refused_by:
        raise QuotaExceeded(taken.refused_by, retry_after=taken.retry_after)


def _require_network(request: Request, services: Services) -> None:
    """Raises NotPermitted unless the request comes from a listed network, RouteNotFound if there is no list.

    The address is that of the connection, or what a reverse proxy on this machine says in X-Forwarded-For.
    """
    rules = services.panoramax
    if rules is None:
        raise RouteNotFound
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        raise NotPermitted(NOT_LISTED) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if not any(address in network for network in rules.networks):
        raise NotPermitted(NOT_LISTED)


async def _authenticate(request: Request, services: Services) -> Caller:
    token = _token(request)
    if token is None:
        if services.keys_needed:
            raise Unauthenticated
        return Caller()
    key = await services.keys.authenticate(token)
    if key is None:
        raise Unauthenticated
    return Caller(key.id, key.role, key)


def _token(request: Request) -> str | None:
    """The presented key, None if there is none. Raises Unauthenticated if what is presented cannot be one."""
    presented = set()
    for value in request.headers.getlist("authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated
        presented.add(token.strip())
    presented.update(value.strip() for value in request.headers.getlist("api-key"))
    if not presented:
        return None
    if len(presented) > 1:
        raise Unauthenticated("More than one key is presented.")
    return presented.pop()


def get_caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CallerOf = Annotated[Caller, Depends(get_caller)]
