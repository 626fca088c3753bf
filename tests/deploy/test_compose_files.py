"""docker-compose.yml and its overrides as they are written: every service is held down, and every image is pinned."""

import re
from typing import Any

import pytest

from service.settings import Settings, variables
from tests.deploy.compose_files import CPU, MAIN, ROOT, Reset, in_order, load

LONG_RUNNING = {"veil", "triton", "postgres"}
ONE_SHOTS = {"migrate", "models", "engine-builder", "cli"}
FULL = load(MAIN)
SERVICES: dict[str, dict[str, Any]] = FULL["services"]


def seconds(span: str) -> int:
    return int(span.removesuffix("s"))


def flags(service: str) -> dict[str, str]:
    """Triton's flags, `--name=value`."""
    found = re.findall(r"--([a-z-]+)(?:=(\S+))?", SERVICES[service]["command"][-1])
    return dict(found)


def test_the_services_are_these() -> None:
    assert set(SERVICES) == LONG_RUNNING | ONE_SHOTS


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_held_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", service["user"])
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"] <= 2048
    assert service["logging"]["options"]["max-size"]
    assert service["logging"]["options"]["max-file"]
    assert all("size=" in mount and "nosuid" in mount for mount in service["tmpfs"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_restarts_as_its_kind_does(name: str) -> None:
    assert SERVICES[name]["restart"] == ("unless-stopped" if name in LONG_RUNNING else "no")
    assert ("healthcheck" in SERVICES[name]) == (name in LONG_RUNNING)


def test_only_the_service_is_published_and_only_on_loopback() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"veil"}
    assert SERVICES["veil"]["ports"] == ["127.0.0.1:8080:8080"]


def test_all_but_the_service_have_no_way_out() -> None:
    assert FULL["networks"]["inner"] == {"internal": True}
    for name, service in SERVICES.items():
        reached = set(service.get("networks", []))
        assert reached or service["network_mode"] == "none"
        assert reached <= ({"edge", "inner"} if name == "veil" else {"inner"})


def test_secrets_are_files_and_never_values() -> None:
    declared = FULL["secrets"]
    assert all(set(each) == {"file"} for each in declared.values())
    for service in SERVICES.values():
        for secret in service.get("secrets", []):
            assert secret in declared
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|URL$|URL_FILE|KEY", name) and not name.endswith("TRITON_URL"):
                assert name.endswith("_FILE")
                assert value.startswith("/run/secrets/")
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/deploy/secrets/", "/.env"} <= set(ignored)


def test_every_setting_of_the_service_exists() -> None:
    known = set(variables())
    given = {
        name
        for file in (MAIN, CPU)
        for service in load(file)["services"].values()
        for name in service.get("environment", {})
    }
    given |= set(re.findall(r"\b(VEIL_[A-Z_]+)=", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    ours = {name for name in given if name.startswith("VEIL_")}
    assert len(ours) > 5
    assert {name.removesuffix("_FILE") if name not in known else name for name in ours} <= known


def test_a_stop_leaves_time_to_drain() -> None:
    drain = Settings.load({"VEIL_SERVER__DRAIN_TIMEOUT": SERVICES["veil"]["environment"]["VEIL_SERVER__DRAIN_TIMEOUT"]})
    assert seconds(SERVICES["veil"]["stop_grace_period"]) > drain.server.drain_timeout
    assert seconds(SERVICES["triton"]["stop_grace_period"]) > int(flags("triton")["exit-timeout-secs"])


def test_each_waits_for_what_it_needs() -> None:
    order = list(in_order(SERVICES, "veil"))
    assert set(order) == set(SERVICES) - {"cli"}
    assert order.index("models") < order.index("engine-builder") < order.index("triton") < order.index("veil")
    assert order.index("postgres") < order.index("migrate") < order.index("veil")
    for service in SERVICES.values():
        for needed, wait in service.get("depends_on", {}).items():
            expected = "service_healthy" if needed in LONG_RUNNING else "service_completed_successfully"
            assert wait == {"condition": expected}


def test_images_are_pinned() -> None:
    pinned = r"@sha256:[0-9a-f]{64}$"
    assert re.search(pinned, SERVICES["postgres"]["image"])
    base = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert base is not None
    assert re.search(pinned, base[1])
    assert re.fullmatch(r"nvcr\.io/nvidia/tritonserver:\d\d\.\d\d-py3", SERVICES["triton"]["image"])


def test_plans_are_built_by_the_very_image_that_serves_them() -> None:
    assert SERVICES["engine-builder"]["image"] == SERVICES["triton"]["image"]
    assert SERVICES["engine-builder"]["environment"]["IMAGE"] == SERVICES["triton"]["image"]


def test_triton_is_locked_down() -> None:
    given = flags("triton")
    assert given["model-repository"] == "/engines/current"
    assert given["model-control-mode"] == "none"
    assert given["exit-on-error"] == given["strict-readiness"] == "true"
    assert "disable-auto-complete-config" in given
    assert given["http-address"] == "127.0.0.1"
    for closed in ("grpc-restricted-protocol", "http-restricted-api"):
        assert {"model-repository", "shared-memory", "trace", "logging"} <= set(
            given[closed].partition(":")[0].split(",")
        )
    assert SERVICES["triton"]["volumes"] == ["engines:/engines:ro"]


def test_the_gpu_is_asked_for_and_the_cpu_override_gives_it_back() -> None:
    with_gpu = {name for name, service in SERVICES.items() if "deploy" in service}
    assert with_gpu == {"triton", "engine-builder"}
    for name in with_gpu:
        assert SERVICES[name]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    changed = load(CPU)["services"]
    assert {name for name, service in changed.items() if isinstance(service.get("deploy"), Reset)} == with_gpu
    assert changed["engine-builder"]["environment"]["ENGINE"] == "onnxruntime"
    assert changed["models"]["command"][3] == "onnxruntime"


def test_only_what_the_image_is_made_of_reaches_the_builder() -> None:
    lines = [
        line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    ]
    assert lines[0] == "*"
    assert {line for line in lines if line.startswith("!deploy")} == {"!deploy/probe.py"}
