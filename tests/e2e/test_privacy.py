"""What must not stay behind: no pixel on a disk, no name, place or reference in a log, a metric or the database."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from benchmarks.pictures import photograph
from tests.e2e.setups import encoded
from tests.postgres.server import PostgresProcess
from tests.service_process import ServiceProcess

NAME = "Erika-Mustermann-Front-Door.jpg"
SECRETS = ("Mustermann", "Front-Door", "48.137154", "Nikon-Serial-0815", "ref-of-the-caller")
MOST_BYTES_OF_A_FILE = 256 * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, postgres_process: PostgresProcess) -> Iterator[ServiceProcess]:
    """A service that cannot write a file over 256 KiB and has no temporary folder."""
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("prlimit (util-linux) is not installed")
    folder = tmp_path_factory.mktemp("privacy")
    environ = {
        "VEIL_DATABASE__URL": postgres_process.create_database("privacy"),
        "VEIL_LOGS__LEVEL": "debug",
        "VEIL_DEFAULTS__EFFORT": "fast",
        "TMPDIR": str(folder / "there-is-no-such-folder"),
    }
    with ServiceProcess(folder, environ, prefix=(prlimit, f"--fsize={MOST_BYTES_OF_A_FILE}")) as process:
        yield process


@pytest.fixture(scope="module")
def upload() -> bytes:
    """Several megabytes of JPEG with a thumbnail of the original, GPS, an owner and a serial number."""
    pixels = photograph(4000, 3000)
    exif = Image.Exif()
    exif[0x013B] = "Erika Mustermann"
    exif[0xA431] = "Nikon-Serial-0815"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (IFDRational(48), IFDRational(8), IFDRational(13.754))
    data = encoded(pixels, "JPEG", exif=exif.tobytes(), comment=b"48.137154 Mustermann")
    assert len(data) > 8 * MOST_BYTES_OF_A_FILE
    return data


def send(service: ServiceProcess, data: bytes, path: str = "/v1/anonymize") -> httpx.Response:
    return httpx.post(
        service.url + path,
        files={"image": (NAME, data, "image/jpeg")},
        data={"source_ref": "ref-of-the-caller"},
        headers={"User-Agent": "Mustermann-Camera", "Referer": f"https://example.org/{NAME}"},
        timeout=120,
    )


def test_a_large_multipart_upload_touches_no_disk(service: ServiceProcess, upload: bytes) -> None:
    answer = send(service, upload)
    assert answer.status_code == 200, answer.text
    for held in Path(f"/proc/{service.usage.pid}/fd").iterdir():
        target = held.readlink()
        assert "deleted" not in target.name or target.name.startswith("memfd"), target


@pytest.mark.parametrize("part", [np.s_[:], np.s_[:60_000]], ids=["whole", "truncated"])
def test_logs_metrics_and_rows_name_nobody(
    service: ServiceProcess, upload: bytes, part: slice, postgres_process: PostgresProcess
) -> None:
    for path in ("/v1/anonymize", "/v1/detect"):
        send(service, upload[part], path)
    httpx.get(f"{service.url}/v1/receipts", params={"source_ref": "ref-of-the-caller"}, timeout=10)
    httpx.get(f"{service.url}/{NAME}", timeout=10)
    said = service.text() + httpx.get(service.metrics_url, timeout=10).text
    assert '"/v1/anonymize"' in said
    for secret in SECRETS:
        assert secret not in said, secret
    with psycopg.connect(service.environ["VEIL_DATABASE__URL"]) as connection:
        rows = connection.execute("SELECT receipts::text FROM receipts").fetchall()
    assert len(rows) >= 2
    stored = "\n".join(row[0] for row in rows)
    assert "ref-of-the-caller" in stored, "the caller's own reference is what receipts are found by"
    for secret in set(SECRETS) - {"ref-of-the-caller"}:
        assert secret not in stored, secret
    assert "\\xffd8" not in stored
    assert max(len(row[0]) for row in rows) < 64 * 1024


def test_no_library_keeps_files_of_its_own(service: ServiceProcess) -> None:
    """ONNX Runtime's usage reports would leave a device id in the home folder, and a thread that sends them."""
    assert [each.name for each in service.folder.iterdir()] == ["service.log"]


def test_the_answer_carries_no_copy_of_the_original(service: ServiceProcess, upload: bytes) -> None:
    image = send(service, upload).content
    assert image.count(b"\xff\xd8\xff") == 1
    assert b"Mustermann" not in image
    with Image.open(io.BytesIO(image)) as opened:
        assert dict(opened.getexif()) in ({}, {0x0112: 1})
        assert "comment" not in opened.info
