"""The overrides of docker-compose.yml: as they are written, and as a compose implementation merges them."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import variables
from tests.deploy.compose_files import CPU, EMBEDDED, MAIN, MONITORING, POSTGRES, ROOT, Reset, load
from tests.deploy.stack import CACHE, environment

OVERRIDES = sorted((ROOT / "deploy").glob("compose.*.yml"))
WATCHERS: dict[str, dict[str, Any]] = load(MONITORING)["services"]
ONLY_IF_THERE = {"condition": "service_healthy", "required": False}


def merged(images: dict[str, str], *overrides: Path) -> dict[str, Any]:
    """The project that podman-compose makes of docker-compose.yml and `overrides`; services with a profile are out."""
    assert images
    done = subprocess.run(
        [CACHE / "compose" / "bin" / "podman-compose", "-f", MAIN, *(f"--file={each}" for each in overrides), "config"],
        env=environment({"PATH": os.environ["PATH"]}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    project: dict[str, Any] = yaml.safe_load(done.stdout)
    return project


@pytest.mark.parametrize("file", OVERRIDES, ids=lambda file: file.name)
def test_an_override_says_how_it_is_used_and_sets_what_exists(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert f"docker compose -f docker-compose.yml -f deploy/{file.name} up --detach" in text
    assert f"deploy/{file.name}" in (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    known = set(variables())
    names = {name for each in load(file)["services"].values() for name in each.get("environment", {})}
    assert {name.removesuffix("_FILE") for name in names if name.startswith("VEIL_")} <= known


def test_the_embedded_engine_needs_no_triton() -> None:
    services = load(EMBEDDED)["services"]
    assert services["veil"]["environment"]["VEIL_DETECTION__ENGINE"] == "embedded"
    assert services["veil"]["depends_on"] == {"triton": ONLY_IF_THERE}
    for name in ("triton", "engine-builder", "models"):
        assert services[name]["profiles"]
    assert {name for name, each in services.items() if isinstance(each.get("deploy"), Reset)} == {
        name for name, each in load(MAIN)["services"].items() if "deploy" in each
    }


def test_a_postgresql_of_ones_own_is_reached_and_the_bundled_one_is_not_started() -> None:
    document = load(POSTGRES)
    services = document["services"]
    assert services["postgres"] == {"profiles": ["bundled"]}
    waiting = {name for name, each in load(MAIN)["services"].items() if "postgres" in each.get("depends_on", {})}
    assert waiting == {name for name, each in services.items() if each.get("depends_on") == {"postgres": ONLY_IF_THERE}}
    assert document["networks"]["database"] is None, "an internal network reaches no other machine"


@pytest.mark.parametrize("name", sorted(WATCHERS))
def test_what_watches_is_held_down(name: str) -> None:
    service = WATCHERS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", service["user"])
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert service["healthcheck"]
    assert all("size=" in mount and "nosuid" in mount for mount in service["tmpfs"])
    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), "pinned by tag"
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")
    for volume in service["volumes"]:
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert rest.endswith(":ro")


def test_what_watches_sends_nothing_out() -> None:
    networks = load(MONITORING)["networks"]
    assert WATCHERS["prometheus"]["networks"] == ["inner", "watched"]
    assert networks["watched"] == {"internal": True}
    for name in ("ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES", "NEWS_NEWS_FEED_ENABLED"):
        assert WATCHERS["grafana"]["environment"][f"GF_{name}"] == "false"


@pytest.mark.containers
def test_compose_merges_each_override(images: dict[str, str]) -> None:
    assert {"triton", "postgres"} <= set(merged(images, CPU)["services"])
    embedded = merged(images, EMBEDDED)["services"]
    assert set(embedded) == {"veil", "migrate", "postgres"}
    assert embedded["veil"]["environment"]["VEIL_DATABASE__MIGRATE"] == "false"
    own = merged(images, POSTGRES)
    assert set(own["services"]) == {"veil", "migrate", "triton", "engine-builder", "models"}
    assert own["services"]["migrate"]["networks"] == ["database"]
    assert own["services"]["migrate"]["secrets"] == ["database_owner_url"]
    both = merged(images, EMBEDDED, POSTGRES, MONITORING)["services"]
    assert set(both) == {"veil", "migrate", "prometheus", "grafana"}
