"""deploy/helm/veil as the real Helm renders it, against the schemas of Kubernetes."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import variables
from tests.deploy.compose_files import MAIN, ROOT, load

CHART = ROOT / "deploy" / "helm" / "veil"
PYTHON = ROOT / ".cache" / "helm" / "bin" / "python"
NEEDED: dict[str, Any] = {
    "secrets": {"existing": "veil"},
    "networkPolicy": {"postgresql": {"peers": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]}},
}
WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "everything": {
        "autoscaling": {"enabled": True},
        "cli": {"enabled": True},
        "triton": {"persistence": {"enabled": True, "storageClass": "fast"}, "nodeSelector": {"gpu": "yes"}},
        "monitoring": {"serviceMonitor": {"enabled": True, "labels": {"a": "b"}}, "rules": {"enabled": True}},
        "settings": {"VEIL_DEFAULTS__EFFORT": "thorough", "VEIL_ADMISSION__WORKERS": 4},
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"digest": "sha256:" + "0" * 64},
        "affinity": {"nodeAffinity": {}},
        "tolerations": [{"operator": "Exists"}],
        "podAnnotations": {"a": "b"},
    },
    "embedded": {"engine": "embedded", "autoscaling": {"enabled": True, "metric": "cpu"}},
    "Triton on the CPU": {"triton": {"gpu": False, "replicas": 2}},
    "bare": {
        "triton": {"enabled": False, "url": "gpu.internal:8001"},
        "networkPolicy": {"enabled": False},
        "disruption": {"enabled": False},
    },
}

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="Helm is not installed: run `requirements/tools.sh helm`")


def merged(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**NEEDED.get(name, {}), **values[name]} if name in NEEDED and name in values else value
        for name, value in {**NEEDED, **values}.items()
    }


def helm(values: dict[str, Any], kubernetes: str = "1.31") -> dict[str, Any]:
    order = {"chart": str(CHART), "values": values, "kubernetes": kubernetes}
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name("render.py")],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def rendered() -> dict[str, dict[str, Any]]:
    return {name: helm(merged(values)) for name, values in WAYS.items()}


def documents(answer: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Of `kind`, by name."""
    found = [each for file in answer["manifests"].values() for each in file if each["kind"] == kind]
    return {each["metadata"]["name"]: each for each in found}


def pods(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("Deployment", "Job"):
        for each in documents(answer, kind).values():
            yield each["spec"]["template"]


def api(answer: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = documents(answer, "Deployment")["veil"]["spec"]["template"]["spec"]["containers"][0]
    return container


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    expressions = selector.get("matchExpressions", [])
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


@pytest.mark.parametrize("way", WAYS)
def test_helm_finds_nothing_wrong(rendered: dict[str, dict[str, Any]], way: str) -> None:
    assert rendered[way]["error"] is None
    assert rendered[way]["lint"] == []
    assert rendered[way]["invalid"] == {}
    assert "veil keys create" in rendered[way]["notes"]


@pytest.mark.parametrize("kubernetes", ["1.27", "1.37"])
def test_old_and_new_kubernetes_take_it(kubernetes: str) -> None:
    assert helm(merged(WAYS["everything"]), kubernetes)["invalid"] == {}


def test_the_schema_check_can_fail() -> None:
    broken = helm(merged({"tolerations": [{"operator": 7}]}))
    assert list(broken["invalid"]) == ["Deployment veil"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"secrets": {"existing": ""}}, "secrets.existing"),
        ({"networkPolicy": {"postgresql": {"peers": []}}}, "networkPolicy.postgresql.peers"),
        ({"triton": {"enabled": False}, "networkPolicy": {"enabled": False}}, "triton.url"),
        ({"triton": {"enabled": False, "url": "gpu:8001"}}, "networkPolicy.triton.peers"),
        ({"triton": {"replicas": 2, "persistence": {"enabled": True}}}, "triton.persistence"),
        ({"replicas": 0}, "replicas"),
        ({"replica": 3}, "replica"),
        ({"engine": "torch"}, "engine"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"settings": {"VEIL_DATABASE__URL": "postgresql://veil:password@db/veil"}}, "VEIL_DATABASE__URL"),
        ({"settings": {"veil_effort": "fast"}}, "veil_effort"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], named: str) -> None:
    base = NEEDED if "networkPolicy" not in values else {"secrets": NEEDED["secrets"]}
    answer = helm({**base, **values})
    assert answer["error"] is not None
    assert named in answer["error"]


@pytest.mark.parametrize("way", WAYS)
def test_every_container_is_held_down(rendered: dict[str, dict[str, Any]], way: str) -> None:
    found = 0
    for pod in pods(rendered[way]):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert "hostNetwork" not in spec
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]
            found += 1
        for volume in spec["volumes"]:
            if volume["name"] == "tmp":
                assert volume["emptyDir"]["medium"] == "Memory", "no pixel reaches a node's disk by /tmp"
                assert volume["emptyDir"]["sizeLimit"]
    assert found >= 2


@pytest.mark.parametrize("way", WAYS)
def test_every_setting_exists_and_secrets_are_files(rendered: dict[str, dict[str, Any]], way: str) -> None:
    known = set(variables())
    for pod in pods(rendered[way]):
        for container in pod["spec"]["containers"]:
            for each in container["env"]:
                if each["name"].startswith("VEIL_"):
                    assert each["name"].removesuffix("_FILE") in known
                if re.search("URL_FILE|SECRET", each["name"]):
                    assert each["value"].startswith("/run/secrets/veil/")
    for volume in (volume for pod in pods(rendered[way]) for volume in pod["spec"]["volumes"]):
        if volume["name"] == "secrets":
            assert volume["secret"]["defaultMode"] & 0o007 == 0


def test_the_owner_of_the_tables_is_not_in_the_serving_pods(rendered: dict[str, dict[str, Any]]) -> None:
    text = json.dumps(documents(rendered["everything"], "Deployment")["veil"])
    assert "database_owner_url" not in text
    job = documents(rendered["everything"], "Job")["veil-migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]


def test_a_stop_leaves_time_to_drain() -> None:
    answer = helm(merged({"drain": {"delay": 10, "timeout": 120}}))
    environ = {each["name"]: each["value"] for each in api(answer)["env"]}
    grace = documents(answer, "Deployment")["veil"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert (environ["VEIL_SERVER__DRAIN_DELAY"], environ["VEIL_SERVER__DRAIN_TIMEOUT"]) == ("10", "120")
    assert grace > 130


def test_alive_and_ready_are_asked_apart(rendered: dict[str, dict[str, Any]]) -> None:
    container = api(rendered["as it is"])
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "liveness", "readiness")} == {
        "metrics"
    }
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": 8080, "metrics": 9090}


def test_the_autoscaler_looks_at_a_metric_that_exists(rendered: dict[str, dict[str, Any]]) -> None:
    scaler = documents(rendered["everything"], "HorizontalPodAutoscaler")["veil"]["spec"]
    metric = scaler["metrics"][0]["pods"]["metric"]["name"]
    metrics = (ROOT / "service" / "observability" / "metrics.py").read_text(encoding="utf-8")
    assert f'"{metric}"' in metrics
    assert f'"{metric}"' in (ROOT / "docs" / "how-to" / "kubernetes.md").read_text(encoding="utf-8").replace("'", '"')
    assert "replicas" not in documents(rendered["everything"], "Deployment")["veil"]["spec"]
    by_cpu = documents(rendered["embedded"], "HorizontalPodAutoscaler")["veil"]["spec"]["metrics"]
    assert [each["type"] for each in by_cpu] == ["Resource"]


@pytest.mark.parametrize("way", ["as it is", "everything", "embedded", "Triton on the CPU"])
def test_pods_reach_only_what_they_need(rendered: dict[str, dict[str, Any]], way: str) -> None:
    policies = documents(rendered[way], "NetworkPolicy").values()
    for pod in pods(rendered[way]):
        labels = pod["metadata"]["labels"]
        mine = [each["spec"] for each in policies if matches(each["spec"]["podSelector"], labels)]
        assert len(mine) == 1, labels
        assert mine[0]["policyTypes"] == ["Ingress", "Egress"]
        out = {(each["ports"][0]["port"], json.dumps(each["to"])) for each in mine[0].get("egress", [])}
        assert all(each["to"] for each in mine[0].get("egress", [])), "an empty 'to' is everybody"
        part = labels["app.kubernetes.io/component"]
        needed = {"triton": set(), "migrate": {53, 5432}, "cli": {53, 5432}}
        serving = {53, 5432} if way == "embedded" else {53, 5432, 8001}
        assert {port for port, _ in out} == needed.get(part, serving)


def test_selectors_find_the_pods_they_mean(rendered: dict[str, dict[str, Any]]) -> None:
    answer = rendered["everything"]
    parts = {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in pods(answer)}
    for name, part in {"veil": "api", "veil-metrics": "api", "veil-triton": "triton"}.items():
        service = documents(answer, "Service")[name]["spec"]
        labels = parts[part]["metadata"]["labels"]
        assert service["selector"].items() <= labels.items()
        open_ports = {each["name"] for each in parts[part]["spec"]["containers"][0]["ports"]}
        assert {each["targetPort"] for each in service["ports"]} <= open_ports
    assert "metrics" not in {each["name"] for each in documents(answer, "Service")["veil"]["spec"]["ports"]}
    budget = documents(answer, "PodDisruptionBudget")["veil"]["spec"]["selector"]["matchLabels"]
    assert [part for part, pod in parts.items() if budget.items() <= pod["metadata"]["labels"].items()] == ["api"]
    monitors = documents(answer, "ServiceMonitor")
    for name, service in {"veil": "veil-metrics", "veil-triton": "veil-triton"}.items():
        wanted = monitors[name]["spec"]["selector"]["matchLabels"]
        found = [
            each["metadata"]["name"]
            for each in documents(answer, "Service").values()
            if wanted.items() <= each["metadata"]["labels"].items()
        ]
        assert found == [service]
        assert monitors[name]["spec"]["endpoints"][0]["port"] in {
            each["name"] for each in documents(answer, "Service")[service]["spec"]["ports"]
        }


def test_rules_and_builder_are_those_of_the_project(rendered: dict[str, dict[str, Any]]) -> None:
    groups = documents(rendered["everything"], "PrometheusRule")["veil"]["spec"]["groups"]
    files = sorted((ROOT / "deploy" / "monitoring" / "rules").glob("*.yml"))
    assert groups == [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    builder = documents(rendered["as it is"], "ConfigMap")["veil-engine-builder"]["data"]["build.sh"]
    assert builder.rstrip() == (ROOT / "deploy" / "engine-builder" / "build.sh").read_text(encoding="utf-8").rstrip()


def test_triton_is_started_as_by_compose(rendered: dict[str, dict[str, Any]]) -> None:
    def flags(command: str) -> dict[str, str]:
        return dict(re.findall(r"--([a-z-]+)(?:=(\S+))?", command))

    compose = flags(load(MAIN)["services"]["triton"]["command"][-1])
    spec = documents(rendered["as it is"], "Deployment")["veil-triton"]["spec"]["template"]["spec"]
    chart = flags(spec["containers"][0]["command"][-1])
    assert {name for name in chart if chart[name] != compose.get(name)} == {"http-address"}
    assert set(chart) == set(compose)
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert spec["initContainers"][1]["resources"]["limits"]["nvidia.com/gpu"] == 1
    on_cpu = json.dumps(documents(rendered["Triton on the CPU"], "Deployment")["veil-triton"])
    assert "nvidia.com/gpu" not in on_cpu
    assert '"--engine", "onnxruntime"' in on_cpu
