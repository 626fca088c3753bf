"""A JPEG is changed under its masks only, unless more is asked for or it cannot be done; receipts say which."""

import io
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from PIL import Image

from service.imaging.containers.jpeg_frame import read_frame
from service.imaging.turbojpeg import load
from service.records.receipt import Rewrite
from tests.images import jpeg_segment, with_pillow
from tests.jpegs import coefficients, encoded, photo
from tests.unit.api.rig import Rig, problem

IMAGE = {"content-type": "image/jpeg"}
FACE = "[[20, 30, 60, 90]]"


async def anonymized(rig: Rig, client: httpx.AsyncClient, data: bytes, **options: str) -> tuple[bytes, Rewrite]:
    response = await client.post("/v1/anonymize", content=data, headers=IMAGE, params={"regions": FACE} | options)
    assert response.status_code == 200, response.text
    receipt = await rig.services.receipts.get(UUID(response.headers["veil-receipt"]))
    assert receipt.outcome == "ok"
    return response.content, receipt.output.rewrite


@pytest.mark.parametrize("options", [{}, {"format": "jpeg"}, {"format": "same", "metadata": "keep"}])
@pytest.mark.parametrize("kind", ["4:2:0", "progressive", "gray", "CMYK"])
async def test_a_jpeg_is_patched(rig: Rig, client: httpx.AsyncClient, kind: str, options: dict[str, str]) -> None:
    data = encoded(photo(480, 640), kind, 83)
    out, rewrite = await anonymized(rig, client, data, **options)
    assert rewrite is Rewrite.PATCH
    for was, now in zip(coefficients(data)[0], coefficients(out)[0], strict=True):
        same = (was == now).all(axis=2)
        assert 0.5 < same.mean() < 1
    assert read_frame(out).progressive == (kind == "progressive")  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [{"quality": "95"}, {"quality": "80", "format": "same"}, {"format": "png"}])
async def test_a_quality_or_another_format_calls_for_encoding(
    rig: Rig, client: httpx.AsyncClient, options: dict[str, str]
) -> None:
    _, rewrite = await anonymized(rig, client, encoded(photo(240, 320), "4:2:0"), **options)
    assert rewrite is Rewrite.FULL


async def test_another_format_is_never_patched(rig: Rig, client: httpx.AsyncClient) -> None:
    data = with_pillow(photo(240, 320), "PNG")
    assert (await anonymized(rig, client, data))[1] is Rewrite.FULL
    assert (await anonymized(rig, client, data, format="jpeg"))[1] is Rewrite.FULL


async def test_without_the_library_a_jpeg_is_encoded(rig: Rig, client: httpx.AsyncClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(rig.services.anonymizer, "_turbojpeg", None)
    data = encoded(photo(240, 320), "4:2:0")
    out, rewrite = await anonymized(rig, client, data)
    assert rewrite is Rewrite.FULL
    assert Image.open(io.BytesIO(out)).size == (320, 240)


async def test_a_sampling_that_cannot_be_patched_is_encoded(rig: Rig, client: httpx.AsyncClient) -> None:
    out, rewrite = await anonymized(rig, client, unusual_sampling())
    library = load()
    assert library is not None
    assert rewrite is (Rewrite.FULL if library.version == "2.x" else Rewrite.PATCH)
    assert Image.open(io.BytesIO(out)).size == (96, 96)


def unusual_sampling() -> bytes:
    """A gray JPEG in color with 4 × 2 luma samples for one of chroma, which libturbojpeg 2.x does not know."""
    tables = jpeg_segment(0xDB, b"\0" + b"\x08" * 64)
    frame = jpeg_segment(0xC0, bytes.fromhex("08 0060 0060 03 014200 021100 031100"))
    dc = jpeg_segment(0xC4, b"\x00\x01" + bytes(15) + b"\0")
    ac = jpeg_segment(0xC4, b"\x10\x01" + bytes(15) + b"\0")
    scan = jpeg_segment(0xDA, bytes.fromhex("03 0100 0200 0300 003f00"))
    blocks = 3 * 6 * (4 * 2 + 1 + 1)
    bits = np.zeros(2 * blocks + -2 * blocks % 8, np.uint8)
    bits[2 * blocks :] = 1
    return b"\xff\xd8" + tables + frame + dc + ac + scan + np.packbits(bits).tobytes() + b"\xff\xd9"


async def test_progressive_becomes_sequential_on_request(rig: Rig, client: httpx.AsyncClient) -> None:
    data = encoded(photo(240, 320), "progressive")
    out, rewrite = await anonymized(rig, client, data, coding="baseline")
    assert rewrite is Rewrite.PATCH
    assert not read_frame(out).progressive  # type: ignore[union-attr]
    problem(await client.post("/v1/anonymize?coding=arithmetic", content=data, headers=IMAGE), 422, "invalid-request")
    problem(await client.post("/v1/detect?coding=baseline", content=data, headers=IMAGE), 422, "invalid-request")
