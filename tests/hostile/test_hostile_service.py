"""Files made to break the service, sent to it: a picture or a precise 4xx, in time, within its memory, off the disk."""

import io
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from tests.hostile.crafted import FINE, WRONG, Crafted, crafted
from tests.hostile.mutations import mutated
from tests.hostile.seeds import seeds
from tests.postgres.server import PostgresProcess
from tests.service_process import ServiceProcess

MIB = 1024 * 1024
MAX_PIXELS = 4_000_000
MOST_BYTES_OF_A_FILE = 256 * 1024
MOST_MEMORY = 350 * MIB
"""What the service may grow by while it works on two hostile files at a time."""

SECONDS = 20.0
"""For one answer, with detection, on a busy machine."""

PATHS = ("/v1/anonymize", "/v1/detect", "/blur/", "/v1/anonymize?metadata=keep", "/v1/anonymize?format=png")
REFUSALS = {
    "corrupt-image",
    "too-many-pixels",
    "unsupported-format",
    "unsupported-frames",
    "invalid-request",
    "upload-rejected",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, postgres_process: PostgresProcess) -> Iterator[ServiceProcess]:
    """A service that cannot write a file over 256 KiB, has no temporary folder and takes up to 4 megapixels."""
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("prlimit (util-linux) is not installed")
    folder = tmp_path_factory.mktemp("hostile")
    environ = {
        "VEIL_DATABASE__URL": postgres_process.create_database("hostile"),
        "VEIL_LIMITS__MAX_PIXELS": str(MAX_PIXELS),
        "VEIL_DEFAULTS__EFFORT": "fast",
        "TMPDIR": str(folder / "there-is-no-such-folder"),
    }
    with ServiceProcess(folder, environ, prefix=(prlimit, f"--fsize={MOST_BYTES_OF_A_FILE}")) as process:
        # Once with a good picture, so that what is loaded on first use does not count.
        assert send(process, seeds()["jpeg"], "/v1/anonymize").status_code == 200
        yield process


def send(service: ServiceProcess, data: bytes, path: str) -> httpx.Response:
    name = "picture" if path.startswith("/blur") else "image"
    files = {name: ("x.jpg", data, "image/jpeg")}
    return httpx.post(service.url + path, files=files, timeout=60)


def wrong_with(answer: httpx.Response) -> str | None:
    """What is wrong with the end of a request, None if nothing is."""
    if answer.status_code == 200:
        if answer.headers["content-type"].startswith("image/"):
            Image.open(io.BytesIO(answer.content)).load()
        return None
    slug = answer.json()["type"].removeprefix("/problems/")
    return None if slug in REFUSALS and 400 <= answer.status_code < 500 else f"{answer.status_code} {slug}"


def timed(service: ServiceProcess, data: bytes, path: str) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    return send(service, data, path), time.monotonic() - started


@pytest.mark.parametrize("path", ["/v1/anonymize", "/blur/"])
@pytest.mark.parametrize("file", crafted(), ids=lambda each: each.name)
def test_a_crafted_file_ends_as_it_must(service: ServiceProcess, file: Crafted, path: str) -> None:
    """With as little metadata as there is, and with as much."""
    answer, spent = timed(service, file.data, path)
    assert answer.status_code == file.status, answer.text[:500]
    assert wrong_with(answer) is None
    assert spent < SECONDS
    if file.status == FINE:
        plain = Image.open(io.BytesIO(answer.content))
        plain.load()
        assert max(plain.size) <= 64
        assert len(answer.content) < 64 * 1024
    if file.status == WRONG and file.data:
        assert answer.json()["receipt"]


def test_mutated_files_end_in_a_picture_or_a_precise_refusal(service: ServiceProcess) -> None:
    service.reset_peak()
    before = service.usage.memory_info().rss
    valid = seeds()
    jobs = [
        (f"{name} #{seed}", mutated(data, seed, tuple(valid.values())), PATHS[(index + seed) % len(PATHS)])
        for index, (name, data) in enumerate(valid.items())
        for seed in range(500_000, 500_004)
    ]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda job: timed(service, job[1], job[2]), jobs))
    wrong = {
        name: problem or f"{spent:.1f} s"
        for (name, _, _), (answer, spent) in zip(jobs, answers, strict=True)
        if (problem := wrong_with(answer)) or spent > SECONDS
    }
    assert wrong == {}
    assert service.peak_bytes() - before < MOST_MEMORY


def test_afterwards_the_service_is_as_before(service: ServiceProcess) -> None:
    assert httpx.get(f"{service.url}/readyz", timeout=10).json()["status"] == "ready"
    assert send(service, seeds()["jpeg"], "/v1/anonymize").status_code == 200
    assert '"uncaught"' not in service.text()
    assert [each.name for each in service.folder.iterdir()] == ["service.log"]
    passwords = "root:x:0:0"
    assert passwords not in service.text()
