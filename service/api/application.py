"""The HTTP application: routes, middleware, problem documents, put together around the services it is given."""

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.types import Lifespan

from service import __version__
from service.api import (
    audit,
    documentation,
    exports,
    health,
    keys,
    native,
    offered,
    page,
    panoramax,
    receipts,
    reviews,
    signing_keys,
    statistics,
)
from service.api.auth import authorize
from service.api.cors import AllowedOrigins
from service.api.health import Readiness
from service.api.limits import RateLimited
from service.api.lingering import LingeringClose
from service.api.middleware import Answered, Observed, RequestId
from service.api.openapi import SECURITY_SCHEMES
from service.api.problems import on_http_exception, on_validation_error, on_veil_error
from service.api.schemas import ProblemDocument, ReceiptDocument
from service.api.services import OptionRules, Services
from service.errors import VeilError
from service.policy import ClassPolicy, Policy, Shape

DESCRIPTION = (
    "Hides faces and license plates in street-level photographs. Every failure is an RFC 9457 problem document "
    "whose type explains it; no picture is answered before its receipt is stored."
)


def create_api(services: Services, *, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The application over `services`; it builds and closes nothing itself."""
    app = _application(services.rules, lifespan, services.origins)
    if services.page:
        app.include_router(page.router())
    app.state.services = services
    app.state.readiness = Readiness(services)
    services.metrics.watch_admission(lambda: services.admission.places, lambda: services.admission.waiting)
    return app


def document() -> dict[str, Any]:
    """The OpenAPI document of a service with the classes that Veil ships, without starting anything."""
    classes = (
        ClassPolicy(name="face", threshold=0.5, margin=0, shape=Shape.ELLIPSE),
        ClassPolicy(name="plate", threshold=0.5, margin=0, shape=Shape.BOX),
    )
    return _application(OptionRules(Policy(classes=classes)), None).openapi()


def _application(rules: OptionRules, lifespan: Lifespan[FastAPI] | None, origins: tuple[str, ...] = ()) -> FastAPI:
    app = FastAPI(
        title="Veil",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        dependencies=[Depends(authorize)],
    )
    app.include_router(native.router(rules))
    app.include_router(offered.router())
    app.include_router(panoramax.router())
    app.include_router(exports.router())  # before the route whose id would match 'export'
    app.include_router(receipts.router())
    app.include_router(statistics.router())
    app.include_router(audit.router())
    app.include_router(reviews.router())
    app.include_router(signing_keys.router())
    app.include_router(keys.router())
    app.include_router(health.router())
    app.include_router(documentation.router())
    app.add_exception_handler(VeilError, on_veil_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    # The last one added is the outermost.
    app.add_middleware(Answered)
    app.add_middleware(RateLimited)
    if origins:
        app.add_middleware(AllowedOrigins, origins=origins)
    app.add_middleware(Observed)
    app.add_middleware(RequestId)
    app.add_middleware(LingeringClose)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with the schemas that only problem documents and multipart answers use."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = found["components"]
        components["securitySchemes"] = SECURITY_SCHEMES
        schemas = components["schemas"]
        _without_validation_errors(found)
        for model in (ProblemDocument, ReceiptDocument):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        app.openapi_schema = found
    return app.openapi_schema


def _without_validation_errors(found: dict[str, Any]) -> None:
    """Takes out FastAPI's own 422, which is added to every route with a parameter: here it is a problem document."""
    for operations in found["paths"].values():
        for operation in operations.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        found["components"]["schemas"].pop(name, None)
