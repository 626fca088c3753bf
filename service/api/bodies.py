"""JSON bodies, read here and not by the framework: it reads them whole, of any size, before it asks who is calling."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from service.api.problems import MalformedRequest, escape
from service.errors import InvalidRequest, OptionProblem, UploadIncomplete, UploadTooLarge

Model = TypeVar("Model", bound=BaseModel)

MAX_BYTES = 64 * 1024


async def read_json(request: Request, model: type[Model], max_bytes: int = MAX_BYTES) -> Model:
    """The body as `model`.

    Raises UploadTooLarge, UploadIncomplete, MalformedRequest if it is not JSON, and InvalidRequest, which points at
    each member that is wrong and repeats none.
    """
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise UploadTooLarge
    except ClientDisconnect:
        raise UploadIncomplete from None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
    if any(each["type"] == "json_invalid" for each in found):
        raise MalformedRequest(detail="The body is not JSON.")
    raise InvalidRequest(
        [OptionProblem("".join(f"/{escape(str(part))}" for part in each["loc"]), each["msg"]) for each in found]
    )
