"""Formats that are read and not written: detected in any case, answered in another format, refused without one."""

import io
from collections.abc import Callable
from uuid import UUID

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.stills import heic, jp2
from tests.unit.api.rig import Rig, problem

Picture = Callable[..., bytes]


def as_kind(picture: Picture, kind: str) -> bytes:
    with Image.open(io.BytesIO(picture("PNG"))) as image:
        pixels = np.asarray(image.convert("RGB"))
    return heic(pixels) if kind == "heic" else jp2(pixels)


@pytest.mark.parametrize("kind", ["heic", "jp2"])
@pytest.mark.parametrize("accept", ["*/*", "image/jpeg", "multipart/mixed"])
async def test_the_same_format_is_refused_with_what_to_give(
    rig: Rig, client: httpx.AsyncClient, picture: Picture, kind: str, accept: str
) -> None:
    headers = {"content-type": f"image/{kind}", "accept": accept}
    response = await client.post("/v1/anonymize", content=as_kind(picture, kind), headers=headers)
    document = problem(response, 422, "invalid-request")
    assert [each["pointer"] for each in document["problems"]] == ["/format"]
    assert "give format=jpeg" in document["problems"][0]["detail"]


@pytest.mark.parametrize("kind", ["heic", "jp2"])
@pytest.mark.parametrize("to", ["jpeg", "png", "webp", "avif", "tiff"])
async def test_another_format_is_answered(
    rig: Rig, client: httpx.AsyncClient, picture: Picture, kind: str, to: str
) -> None:
    headers = {"content-type": f"image/{kind}"}
    response = await client.post(f"/v1/anonymize?format={to}", content=as_kind(picture, kind), headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == f"image/{to}"
    with Image.open(io.BytesIO(response.content)) as image:
        assert (image.size, image.format) == ((320, 240), to.upper())
    receipt = await rig.services.receipts.get(UUID(response.headers["veil-receipt"]))
    assert receipt.input is not None
    assert (receipt.input.format, receipt.output and receipt.output.format) == (kind, to)


@pytest.mark.parametrize("kind", ["heic", "jp2"])
async def test_detection_needs_no_format(client: httpx.AsyncClient, picture: Picture, kind: str) -> None:
    headers = {"content-type": f"image/{kind}"}
    response = await client.post("/v1/detect", content=as_kind(picture, kind), headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["image"]["format"] == kind
