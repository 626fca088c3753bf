"""A model's version is changed under load, and back, on a real tritonserver: no request fails, receipts tell."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import onnx
import pytest

from service.models.catalog import Catalog
from service.models.export import export_repository
from service.models.golden import Golden
from service.models.verify import sha256_of
from tests.e2e.setups import encoded, portrait
from tests.e2e.test_load_and_leaving import metric, post, wait_for
from tests.service_process import ServiceProcess
from tests.triton.server import TritonProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOAD = 2
"""Requests that are always under way."""


@pytest.fixture
def two_versions(catalog: Catalog, tmp_path: Path) -> Catalog:
    """A catalog that wants face/2, another file with the same answers, and accepts face/1."""
    root = tmp_path / "catalog"
    shutil.copytree(catalog.root, root, ignore=shutil.ignore_patterns("source"))
    face = root / "face"
    (spec,) = (each for each in catalog.specs if each.name == "face")
    for name in ("model.json", "golden.json"):
        shutil.copy(face / name, face / "1" / name)
    model = onnx.load(face / "1" / "model.onnx")
    model.doc_string = "another file"
    (face / "2").mkdir()
    onnx.save(model, face / "2" / "model.onnx")
    other = {"version": "2", "sha256": sha256_of(face / "2" / "model.onnx"), "int8": None, "fp32": None}
    newer = spec.model_copy(update=other)
    (face / "model.json").write_text(newer.model_dump_json())
    made = Catalog.read(root)
    golden = Golden.read(catalog, spec)
    assert golden is not None
    golden.model_copy(update={"version": "2", "sha256": newer.sha256}).write(made, newer)
    return made


@pytest.fixture
def server(two_versions: Catalog, tmp_path: Path) -> Iterator[TritonProcess]:
    """It serves face/1 and plate/5."""
    export_repository(two_versions, tmp_path / "served", "python", ["face/2"])
    with TritonProcess(tmp_path / "triton", repository=tmp_path / "served") as process:
        yield process


class Load:
    """Requests without a pause on `LOAD` connections, until it is left; then `answers` has all of them."""

    def __init__(self, service: ServiceProcess) -> None:
        self._service = service
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(LOAD)
        self.answers: list[httpx.Response] = []

    def __enter__(self) -> "Load":
        for _ in range(LOAD):
            self._pool.submit(self._work)
        return self

    def _work(self) -> None:
        body = encoded(portrait(), "JPEG")
        while not self._over.is_set():
            self.answers.append(post(self._service, body, effort="fast"))

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown(wait=True)

    def more(self, count: int) -> None:
        """Waits for `count` more answers."""
        before = len(self.answers)
        wait_for(lambda: len(self.answers) >= before + count, seconds=90)


def serve(catalog: Catalog, service: ServiceProcess, target: Path, *without: str) -> str:
    """The operator's two commands."""
    arguments = [each for label in without for each in ("--without", label)]
    exported = service.run("models", "export", "--engine", "python", *arguments, str(target))
    assert exported.returncode == 0, exported.stderr
    loaded = service.run("models", "load", "face", timeout=120)
    assert loaded.returncode == 0, loaded.stderr
    return loaded.stdout


def face_version(service: ServiceProcess) -> str:
    models = httpx.get(f"{service.url}/v1/models", timeout=30).json()["models"]
    return str(next(each["version"] for each in models if each["name"] == "face"))


def test_a_version_is_changed_and_changed_back_under_load(
    server: TritonProcess, two_versions: Catalog, tmp_path: Path
) -> None:
    environ = {
        "VEIL_DETECTION__ENGINE": "triton",
        "VEIL_DETECTION__TRITON_URL": server.url,
        "VEIL_MODELS__REPOSITORY": str(two_versions.root),
    }
    served = tmp_path / "served"
    with ServiceProcess(tmp_path, environ) as service:
        with Load(service) as load:
            load.more(5)
            assert face_version(service) == "1"
            assert "face: serves 1, 2" in serve(two_versions, service, served)
            wait_for(lambda: metric(service, 'veil_model_version{model="face"}') == 2)
            load.more(10)
            assert "face: serves 2" in serve(two_versions, service, served, "face/1")
            load.more(10)
            # Back: face/2 is taken away while it answers, with nothing beside it.
            assert "face: serves 1" in serve(two_versions, service, served, "face/2")
            wait_for(lambda: face_version(service) == "1")
            load.more(10)
        assert {(each.status_code, each.text[:300] if each.is_error else "") for each in load.answers} == {(200, "")}
        used = []
        for answer in load.answers:
            receipt = httpx.get(f"{service.url}/v1/receipts/{answer.headers['veil-receipt']}", timeout=30).json()
            (face,) = (each for each in receipt["models"] if each["name"] == "face")
            (spec,) = (each for each in two_versions.versions(two_versions.specs[0]) if each.version == face["version"])
            assert face["sha256"] == spec.sha256
            assert {d["model"] for d in receipt["detections"]} <= {spec.label, "plate/5"}
            used.append((receipt["received_at"], face["version"]))
        versions = "".join(version for _, version in sorted(used))
        assert versions.startswith("1")
        assert versions.endswith("1")
        assert versions.count("2") >= 10
        assert "model-version-changed" in service.text()


def test_a_version_that_answers_otherwise_is_not_used(
    server: TritonProcess, two_versions: Catalog, tmp_path: Path
) -> None:
    """It has the right checksum; its golden answers are not reproduced. The version before goes on answering."""
    file = two_versions.golden(two_versions.specs[0])
    golden = Golden.model_validate_json(file.read_text())
    street = golden.pictures["street"].model_copy(update={"boxes": ((0.0, 0.0, 9.0, 9.0),)})
    golden.model_copy(update={"pictures": {**golden.pictures, "street": street}}).write(
        two_versions, two_versions.specs[0]
    )
    environ = {
        "VEIL_DETECTION__ENGINE": "triton",
        "VEIL_DETECTION__TRITON_URL": server.url,
        "VEIL_MODELS__REPOSITORY": str(two_versions.root),
    }
    with ServiceProcess(tmp_path, environ) as service:
        assert "face: serves 1, 2" in serve(two_versions, service, tmp_path / "served")
        wait_for(lambda: "model-unproven" in service.text() or httpx.get(f"{service.url}/readyz").is_error)
        assert face_version(service) == "1"
        assert post(service, encoded(portrait(), "JPEG")).status_code == 200
        assert "face/2 is not proven: street: no box at 0, 0, 9, 9" in service.text()
        serve(two_versions, service, tmp_path / "served", "face/1")
        wait_for(lambda: post(service, encoded(portrait(), "JPEG")).status_code == 503)
        ready = httpx.get(f"{service.url}/readyz", timeout=30)
        assert ready.status_code == 503
        assert "face/2 is not proven: street" in ready.json()["components"]["face"]["reason"]
