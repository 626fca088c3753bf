import re
from typing import Any

import httpx
import pytest

from service.api import examples, schemas
from service.api.application import document
from service.api.options import option_names
from service.api.problems import KINDS, MEDIA_TYPE
from service.imaging.cubemap import FACES

WRITTEN = {"image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp", "image/avif"}
READ = WRITTEN | {"image/heic", "image/jp2"}


def operations(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{method} {path}", each) for path, item in found["paths"].items() for method, each in item.items()]


async def test_the_pages_need_no_other_host(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert not re.search(r"""(?:https?:)?//[a-z]""", page.text)
    addresses = re.findall(r"""(?:src|href)="([^"]+)""", page.text)
    assert len(addresses) == 3
    for address in addresses:
        found = await client.get(f"/{address}")
        assert found.status_code == 200
        assert len(found.content) > 500
    assert "url: 'openapi.json'" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (await client.get("/docs/static/redoc.standalone.js")).status_code == 404
    assert (await client.get("/docs/static/..%2f__init__.py")).status_code == 404


async def test_the_served_document_is_the_one_that_the_command_line_prints(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).json() == document()


def test_every_reference_leads_somewhere() -> None:
    found = document()
    references = set(re.findall(r"'\$ref': '([^']+)'", str(found)))
    assert references
    assert references <= {f"#/components/schemas/{name}" for name in found["components"]["schemas"]}
    assert "HTTPValidationError" not in str(found)


def test_uploads_name_their_media_types_options_and_headers() -> None:
    paths = document()["paths"]
    for name in ("anonymize", "detect"):
        operation = paths[f"/v1/{name}"]["post"]
        body = operation["requestBody"]["content"]
        assert set(body) == {*READ, "application/octet-stream", "multipart/form-data"}
        names = option_names(["face", "plate"], name)  # type: ignore[arg-type]
        assert [each["name"] for each in operation["parameters"]] == names
        assert all(each["description"] and ("example" in each or "content" in each) for each in operation["parameters"])
        assert set(body["multipart/form-data"]["schema"]["properties"]) == {
            "image",
            *names,
            *FACES * (name == "anonymize"),
        }
        assert {"Veil-Receipt", "Veil-Detections", "Server-Timing"} <= set(operation["responses"]["200"]["headers"])
        statuses = {"200", "400", "401", "403", "406", "408", "413", "415", "422", "429", "500", "502", "503", "504"}
        assert set(operation["responses"]) == statuses
        assert "Retry-After" in operation["responses"]["429"]["headers"]
        assert "Retry-After" in operation["responses"]["503"]["headers"]
    assert set(paths["/v1/anonymize"]["post"]["responses"]["200"]["content"]) == {
        *WRITTEN,
        "multipart/mixed",
        "application/zip",
    }


def test_every_error_is_documented_as_a_problem_with_examples() -> None:
    seen = set()
    for name, operation in operations(document()):
        for status, response in operation["responses"].items():
            if int(status) < 400 or name in ("get /readyz", "get /blur/"):
                continue
            content = response["content"]
            assert set(content) == {MEDIA_TYPE}, name
            for slug, example in content[MEDIA_TYPE]["examples"].items():
                body = schemas.ProblemDocument.model_validate(example["value"])
                assert (body.status, body.type) == (int(status), f"/problems/{slug}")
                seen.add(slug)
    # What is left ends no documented operation: wrong addresses, clients that left, bases of others, and connections
    # that are refused before anybody knows what they want.
    unseen = {kind.slug for kind in KINDS} - seen
    connections = {"head-incomplete", "head-too-large", "too-many-connections"}
    assert (
        unseen
        == {"not-found", "method-not-allowed", "client-disconnected", "upload-rejected", "origin-not-allowed"}
        | connections
    )


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (schemas.DetectDocument, examples.DETECT),
        (schemas.ReceiptDocument, examples.RECEIPT),
        (schemas.ModelsDocument, examples.MODELS),
        (schemas.ReadyDocument, examples.NOT_READY),
    ],
)
def test_examples_are_what_the_schemas_say(model: type[schemas.Wire], example: dict[str, Any]) -> None:
    assert model.model_validate(example).model_dump(mode="json", by_alias=True) == example
