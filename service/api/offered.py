"""What the caller may ask for here: the classes with their defaults, the terms of the key, the deployment's limits."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from service.api import openapi
from service.api.auth import CallerOf, ServicesOf
from service.api.schemas import Wire
from service.errors import NotPermitted, QuotaExceeded
from service.policy import ClassPolicy, Obscure
from service.records.key import Role


class ClassDocument(Wire):
    """The options of one class where a request names none."""

    name: str
    threshold: float
    margin: float
    strength: float
    obscure: Obscure

    @classmethod
    def of(cls, policy: ClassPolicy) -> "ClassDocument":
        return cls.model_validate({name: getattr(policy, name) for name in cls.model_fields})


class OfferDocument(Wire):
    role: Annotated[Role, Field(description="Of the key; admin where no keys are needed.")]
    key: Annotated[str | None, Field(description="Id of the API key; null where no keys are needed.")]
    classes: list[ClassDocument]
    options: Annotated[dict[str, str], Field(description="Options that the key's requests have by default.")]
    fixed: Annotated[list[str], Field(description="Options that the key's requests may not name.")]
    exclude: Annotated[bool, Field(description="Whether areas may be left alone (option exclude).")]
    max_upload_bytes: int


def router() -> APIRouter:
    routes = APIRouter(tags=["pictures"])
    routes.add_api_route(
        "/v1/options",
        offered,
        methods=["GET"],
        operation_id="get_options",
        summary="What this key may ask for",
        response_model=OfferDocument,
        responses=openapi.problems(*openapi.COMMON, NotPermitted, QuotaExceeded),
        openapi_extra={"security": openapi.SECURITY},
    )
    return routes


async def offered(response: Response, services: ServicesOf, caller: CallerOf) -> OfferDocument:
    """Defaults and limits for a user interface: what is not offered would be refused."""
    response.headers["Cache-Control"] = "no-store"
    return OfferDocument(
        role=caller.role,
        key=caller.id,
        classes=[ClassDocument.of(each) for each in services.rules.defaults.classes],
        options=dict(caller.terms.options),
        fixed=sorted(caller.terms.fixed),
        exclude=services.rules.allow_exclude,
        max_upload_bytes=services.uploads.max_bytes,
    )
