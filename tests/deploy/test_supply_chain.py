"""The bill of materials has what the lock has, and the lock is what the image is built from."""

import json
import re
import subprocess

import pytest

from tests.deploy.compose_files import ROOT

LOCK = ROOT / "requirements" / "runtime.txt"
TOOLS = ROOT / ".cache" / "supply-chain" / "installed.txt"


def locked() -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_image_is_built_from_the_lock() -> None:
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes" in recipe
    assert "requirements/runtime.txt" in recipe
    text = LOCK.read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") >= len(locked())
    assert "http" not in re.sub(r"^http[a-z]*==", "", text, flags=re.MULTILINE), "an address in the lock"


@pytest.mark.skipif(not TOOLS.exists(), reason="needs requirements/tools.sh supply-chain")
def test_the_bill_of_materials_lists_every_dependency() -> None:
    subprocess.run(["make", "sbom"], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads((ROOT / "dist" / "veil.cdx.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "veil"
    assert {each["name"]: each["version"] for each in bill["components"]} == locked()
    for each in bill["components"]:
        assert each["purl"].startswith("pkg:pypi/")
        assert any(reference.get("hashes") for reference in each["externalReferences"]), each["name"]
