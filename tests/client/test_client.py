"""The client against real services: typed answers, problems, busy and lost servers."""

import asyncio
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import AnswerBroken, AsyncClient, Client, Problem, Unreachable
from tests.e2e.setups import FACE, encoded, portrait
from tests.service_process import ServiceProcess

PHOTO = encoded(portrait(), "JPEG")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path_factory.mktemp("client"), {"VEIL_ACCESS__KEYS": "false"}) as running:
        yield running


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[Client]:
    with Client(service.url) as connected:
        yield connected


def test_a_picture_comes_back_with_its_receipt(client: Client) -> None:
    result = client.anonymize(PHOTO, {"obscure.face": "fill", "source_ref": "client-test"})
    assert result.media_type == "image/jpeg"
    assert result.data[:2] == b"\xff\xd8"
    assert result.data != PHOTO
    assert result.receipt.counts["face"] == 1
    assert result.receipt.detections is not None
    x1, y1, x2, y2 = result.receipt.detections[0].box
    assert x1 < (FACE[0] + FACE[2]) / 2 < x2
    assert y1 < (FACE[1] + FACE[3]) / 2 < y2
    assert client.receipt(result.receipt.id).document == result.receipt.document
    assert [each.id for each in client.receipts(source_ref="client-test")] == [result.receipt.id]


def test_bytes_files_and_open_files_are_the_same_picture(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    with path.open("rb") as file:
        found = [client.detect(each) for each in (PHOTO, path, file, io.BytesIO(PHOTO))]
    assert all(each.detections == found[0].detections for each in found)
    assert (found[0].width, found[0].height) == (512, 512)


def test_areas_are_given_as_lists(client: Client) -> None:
    result = client.anonymize(PHOTO, {"regions": [[10, 10, 60, 60]]})
    assert result.receipt.document["policy"]["regions"] != []


def test_receipts_are_read_page_by_page(client: Client) -> None:
    for _ in range(3):
        client.detect(PHOTO, {"source_ref": "pages"})
    assert len({each.id for each in client.receipts(source_ref="pages", limit=1)}) == 3


def test_a_problem_says_what_is_wrong(client: Client) -> None:
    with pytest.raises(Problem) as caught:
        client.anonymize(PHOTO, {"obscure.face": "nothing"})
    assert (caught.value.status, caught.value.slug) == (422, "invalid-request")
    assert "/obscure.face" in str(caught.value)
    with pytest.raises(Problem) as caught:
        client.anonymize(b"no picture")
    assert caught.value.status == 415
    assert client.receipt(str(caught.value.receipt)).outcome == "rejected"


def test_models_are_listed(client: Client) -> None:
    assert {each["name"] for each in client.models()} == {"face", "plate"}


def test_another_service_at_the_address_is_noticed(service: ServiceProcess) -> None:
    with (
        Client(service.metrics_url.removesuffix("/metrics"), patience=0.1) as lost,
        pytest.raises((AnswerBroken, Problem)),
    ):
        lost.models()


def test_nobody_answers() -> None:
    with Client("http://127.0.0.1:9", patience=0.5) as lost, pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        lost.models()


async def test_the_asynchronous_client_gives_the_same(service: ServiceProcess, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    async with AsyncClient(service.url) as client:
        results = await asyncio.gather(*(client.anonymize(each, {"source_ref": "async"}) for each in (PHOTO, path)))
        assert len({each.data for each in results}) == 1
        assert {each.id async for each in client.receipts(source_ref="async")} == {r.receipt.id for r in results}
        assert (await client.detect(io.BytesIO(PHOTO))).counts == {"face": 1, "plate": 0}
        assert len(await client.models()) == 2


@pytest.mark.slow
def test_a_busy_service_is_asked_again(tmp_path: Path) -> None:
    """One worker and no queue: of requests at the same time, all but one are told to come back."""
    environ = {"VEIL_ADMISSION__WORKERS": "1", "VEIL_ADMISSION__QUEUE": "0"}
    with ServiceProcess(tmp_path, environ) as service:
        with Client(service.url, patience=60) as client:
            results = _together(4, lambda: client.anonymize(PHOTO).receipt.outcome)
        assert results == ["ok"] * 4
        with Client(service.url, patience=0) as hasty:
            refused = [each for each in _together(4, lambda: hasty.anonymize(PHOTO)) if isinstance(each, Problem)]
    assert refused
    assert {each.status for each in refused} == {429}


@pytest.mark.slow
def test_work_goes_on_with_the_server_that_is_left(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with ServiceProcess(folders[0]) as one, ServiceProcess(folders[1]) as two, Client(one.url, two.url) as client:
        _together(4, lambda: client.detect(PHOTO))
        for each in (one, two):
            with Client(each.url) as single:
                assert len(list(single.receipts())) == 2, "work is shared"
        two.kill()
        results = _together(6, lambda: client.anonymize(PHOTO).receipt.outcome)
        assert results == ["ok"] * 6


def _together(count: int, work: object) -> list[object]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())  # type: ignore[operator]
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return results
