"""Models that are not what they should be, in a running service: not ready, with the reason, and no picture."""

import shutil
from pathlib import Path

import httpx
import pytest

from service.app.detectors import as_computed
from service.models.catalog import Catalog
from service.models.golden import Golden
from service.settings import Settings
from tests.e2e.setups import encoded, portrait
from tests.e2e.test_load_and_leaving import metric, post, receipts, wait_for
from tests.service_process import ServiceProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def own(catalog: Catalog, tmp_path: Path) -> Catalog:
    """A copy of the models that a test may damage, with the files that the service takes on this processor."""
    shutil.copytree(catalog.root, tmp_path / "models", ignore=shutil.ignore_patterns("source"))
    return as_computed(Settings.load({}), Catalog.read(tmp_path / "models"))


def environ(own: Catalog) -> dict[str, str]:
    return {"VEIL_MODELS__REPOSITORY": str(own.root), "VEIL_MODELS__VERIFY_MINUTES": "0.005"}


def reason(service: ServiceProcess, part: str) -> str | None:
    return str(httpx.get(f"{service.url}/readyz", timeout=30).json()["components"][part]["reason"])


def test_a_file_that_changes_under_a_running_service(own: Catalog, tmp_path: Path) -> None:
    body = encoded(portrait(), "JPEG")
    (plate,) = (each for each in own.specs if each.name == "plate")
    file = own.file(plate)
    with ServiceProcess(tmp_path, environ(own)) as service:
        assert post(service, body).status_code == 200
        assert metric(service, 'veil_model_proven{model="plate"}') == 1
        content = file.read_bytes()
        file.write_bytes(content + b"\0")
        wait_for(lambda: metric(service, 'veil_model_proven{model="plate"}') == 0)
        refused = post(service, body, source_ref="refused")
        assert refused.status_code == 503
        assert refused.json()["type"] == "/problems/model-unproven"
        assert f"{plate.label} is not proven: the file's SHA-256 is" in refused.json()["detail"]
        assert [each["problem"] for each in receipts(service, source_ref="refused")] == ["model-unproven"]
        wait_for(lambda: "the file's SHA-256 is" in (reason(service, "plate") or ""))  # may be a second old
        assert reason(service, "face") == "None"
        assert post(service, body, classes="face").status_code == 200, "the other model is what it should be"
        assert "model-unproven" in service.text()
        file.write_bytes(content)
        wait_for(lambda: post(service, body).status_code == 200)
        assert metric(service, 'veil_model_proven{model="plate"}') == 1


def test_a_service_whose_golden_answers_are_not_reproduced_is_never_ready(own: Catalog, tmp_path: Path) -> None:
    (face,) = (each for each in own.specs if each.name == "face")
    golden = Golden.read(own, face)
    assert golden is not None
    street = golden.pictures["street"]
    other = street.model_copy(update={"scores": (street.scores[0] - 0.1, *street.scores[1:])})
    damaged = golden.model_copy(update={"pictures": {**golden.pictures, "street": other}})
    damaged.write(own, face)
    service = ServiceProcess(tmp_path, environ(own))
    try:
        service.start(ready=False)
        wanted = f"face/1 is not proven: street: score 1 is {street.scores[0]:.4f} instead of {other.scores[0]:.4f}"
        assert wanted in (reason(service, "face") or "")
        assert post(service, encoded(portrait(), "JPEG")).status_code == 503
        checked = service.run("models", "golden", "--check")
        assert checked.returncode == 1
        assert "score 1 is" in checked.stderr
        made = service.run("models", "golden")
        assert made.returncode == 0, made.stderr
        assert service.run("models", "golden", "--check").returncode == 0
        again = Golden.read(own, face)
        assert again is not None
        assert again.difference("street", street) is None, "as they were, whatever processor computed them"
    finally:
        service.kill()
