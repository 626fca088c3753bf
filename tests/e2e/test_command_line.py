"""`veil` on the command line, as a process of its own."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.setups import FACE, encoded, portrait
from tests.service_process import ServiceProcess


@pytest.fixture
def veil(tmp_path: Path) -> ServiceProcess:
    """A deployment that is not started: only its environment and folder."""
    return ServiceProcess(tmp_path)


def test_files_become_anonymized_files_with_receipts(veil: ServiceProcess) -> None:
    good, bad = veil.folder / "good.png", veil.folder / "bad.jpg"
    good.write_bytes(encoded(portrait(), "PNG"))
    bad.write_bytes(encoded(portrait(), "JPEG")[:5000])
    done = veil.run("anonymize", "good.png", "bad.jpg", "-o", "out", "-s", "obscure=fill")
    assert done.returncode == 1
    assert "bad.jpg: The image is damaged" in done.stderr
    assert "1 of 2 pictures failed" in done.stderr
    assert [p.name for p in (veil.folder / "out").iterdir()] == ["good.png"]
    after = np.asarray(Image.open(veil.folder / "out" / "good.png"))
    x1, y1, x2, y2 = FACE
    assert (after[y1:y2, x1:x2] == after[y1, x1]).all()
    with veil as service:
        import httpx

        outcomes = [r["outcome"] for r in httpx.get(f"{service.url}/v1/receipts", timeout=10).json()["receipts"]]
    assert sorted(outcomes) == ["ok", "rejected"]


def test_a_wrong_option_is_named(veil: ServiceProcess) -> None:
    (veil.folder / "a.png").write_bytes(encoded(portrait(), "PNG"))
    done = veil.run("anonymize", "a.png", "-s", "strenght=2")
    assert done.returncode == 2
    assert "strenght" in done.stderr


def test_on_a_network_it_starts_only_with_a_key(veil: ServiceProcess) -> None:
    import httpx

    veil.environ |= {"VEIL_SERVER__HOST": "0.0.0.0", "VEIL_SERVER__METRICS_ENABLED": "false"}
    refused = veil.run("serve")
    assert refused.returncode == 2
    assert "veil keys create" in refused.stderr
    token = veil.run("keys", "create", "--name", "viewer", "--role", "anonymize").stdout.strip()
    assert token.startswith("veil_")
    assert token not in veil.run("keys", "list").stdout
    with veil as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")
        body = encoded(portrait(), "JPEG")
        headers = {"Content-Type": "image/jpeg"}
        assert httpx.post(f"{url}/v1/anonymize", content=body, headers=headers, timeout=30).status_code == 401
        for auth in ({"api-key": token}, {"Authorization": f"Bearer {token}"}):
            answer = httpx.post(f"{url}/v1/anonymize", content=body, headers=headers | auth, timeout=60)
            assert answer.status_code == 200, answer.text
        receipt = httpx.get(f"{url}/v1/receipts/{answer.headers['veil-receipt']}", headers={"api-key": token})
        assert receipt.json()["caller"] == token.split("_")[1]


def test_without_keys_a_network_address_is_refused(veil: ServiceProcess) -> None:
    veil.environ |= {"VEIL_SERVER__HOST": "0.0.0.0", "VEIL_ACCESS__KEYS": "false"}
    refused = veil.run("serve")
    assert refused.returncode == 2
    assert "without API keys" in refused.stderr


def test_doctor_says_what_is_wrong(veil: ServiceProcess) -> None:
    assert veil.run("doctor").returncode == 0
    veil.environ |= {"VEIL_DETECTION__ENGINE": "triton", "VEIL_DETECTION__TRITON_URL": "127.0.0.1:9"}
    sick = veil.run("doctor")
    assert sick.returncode == 1
    assert "WRONG triton face/1" in sick.stdout
    assert "VEIL_DETECTION__TRITON_URL" in sick.stdout
    veil.environ |= {"VEIL_DETECTION__TRITN_URL": "x"}
    assert "did you mean VEIL_DETECTION__TRITON_URL" in veil.run("doctor").stdout


def test_the_interface_is_printed(veil: ServiceProcess) -> None:
    document = json.loads(veil.run("openapi").stdout)
    assert {"/v1/anonymize", "/v1/detect", "/v1/receipts", "/v1/models"} <= set(document["paths"])
