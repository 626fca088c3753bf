"""deploy/monitoring in a real Prometheus that scrapes a real Veil on a real Triton: every query finds what it names."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.compose_files import ROOT
from tests.deploy.prometheus import MONITORING_FOLDER, PROMETHEUS, PROMTOOL, REASON, PrometheusProcess
from tests.e2e.setups import encoded, portrait
from tests.service_process import ServiceProcess
from tests.triton.server import TritonProcess

RULE_FILES = sorted((MONITORING_FOLDER / "rules").glob("*.yml"))
DASHBOARD = json.loads((MONITORING_FOLDER / "grafana" / "dashboards" / "veil.json").read_text(encoding="utf-8"))
NEEDS_A_GPU = {"nv_gpu_utilization"}
ONLY_WITH_FAULTS = ("veil_detector_errors", "veil_connections_ended", 'status!="200"', 'status="429"')
"""What has no series before something went wrong, or nothing but a nought."""

needs_prometheus = pytest.mark.skipif(PROMETHEUS is None or PROMTOOL is None, reason=REASON)


def rules() -> Iterator[dict[str, Any]]:
    for file in RULE_FILES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def figures() -> Iterator[tuple[str, str]]:
    """Each query of the dashboard: panel, expression as Grafana sends it for all jobs."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$job", ".+")


def metrics_named_in(expression: str) -> set[str]:
    bare = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"\b(?:veil|process|nv)_[a-z_]+\b(?!:)", re.sub(r"\b[a-z_]+:[a-z_]+:[a-z0-9_]+", "", bare)))


def recorded_in(expression: str) -> set[str]:
    return set(re.findall(r"\b[a-z_]+:[a-z_]+:[a-z0-9_]+\b", expression))


EXPRESSIONS = [*(rule["expr"] for rule in rules()), *(expression for _, expression in figures())]


def test_there_is_something_to_check() -> None:
    assert len(EXPRESSIONS) > 40
    assert sum("alert" in rule for rule in rules()) >= 10


def test_every_recorded_figure_that_is_used_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = set().union(*(recorded_in(each) for each in EXPRESSIONS))
    assert used <= recorded
    assert recorded - used == set(), "recorded and never looked at"


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "what_to_do"}
    for page in re.findall(r"docs/\S+\.md", rule["annotations"]["what_to_do"]):
        assert (ROOT / page).exists()


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@needs_prometheus
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", str(MONITORING_FOLDER / "prometheus.yml")],
        ["check", "rules", *map(str, RULE_FILES)],
        ["test", "rules", str(Path(__file__).parent / "monitoring" / "alerts_test.yml")],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_agrees(arguments: list[str]) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def watched(triton: TritonProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PrometheusProcess, str]]:
    """Prometheus with a while of scrapes in it, and the service's own text of its metrics."""
    environ = {"VEIL_DETECTION__ENGINE": "triton", "VEIL_DETECTION__TRITON_URL": triton.url}
    with ServiceProcess(tmp_path_factory.mktemp("watched"), environ) as service:
        targets = {"veil": urlsplit(service.metrics_url).netloc, "triton": triton.metrics}
        with PrometheusProcess(tmp_path_factory.mktemp("prometheus") / "server", targets) as prometheus:
            portrayed = encoded(portrait(), "JPEG")
            # A counter's first value is no increase: one picture before the first scrape, and some while it scrapes.
            for _ in range(4):
                anonymize(service, portrayed)
                time.sleep(1.5)
            refused = httpx.post(
                f"{service.url}/v1/anonymize", content=b"", headers={"Content-Type": "image/jpeg"}, timeout=60
            )
            assert refused.status_code == 422
            wait_until_recorded(prometheus)
            yield prometheus, httpx.get(service.metrics_url, timeout=10).text


def anonymize(service: ServiceProcess, body: bytes) -> None:
    answer = httpx.post(f"{service.url}/v1/anonymize", content=body, headers={"Content-Type": "image/jpeg"}, timeout=60)
    assert answer.status_code == 200, answer.text


def wait_until_recorded(prometheus: PrometheusProcess) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        last_scraped = prometheus.query('veil_requests_total{outcome="rejected"}')
        if last_scraped and prometheus.query("job_class:veil_detections_per_picture:ratio_rate1h > 0"):
            return
        time.sleep(0.5)
    raise AssertionError(prometheus.ask("rules"))


@needs_prometheus
@pytest.mark.slow
def test_both_are_scraped(watched: tuple[PrometheusProcess, str]) -> None:
    up = {each["metric"]["job"]: each["value"][1] for each in watched[0].query("up")}
    assert up == {"veil": "1", "triton": "1"}


@needs_prometheus
@pytest.mark.slow
def test_every_rule_is_evaluated_and_no_alert_speaks(watched: tuple[PrometheusProcess, str]) -> None:
    loaded = [rule for group in watched[0].ask("rules")["groups"] for rule in group["rules"]]
    assert len(loaded) == len(list(rules()))
    assert {rule["name"]: rule.get("lastError", "") for rule in loaded if rule["health"] != "ok"} == {}
    assert watched[0].ask("alerts")["alerts"] == []


@needs_prometheus
@pytest.mark.slow
def test_queries_name_only_metrics_that_there_are(watched: tuple[PrometheusProcess, str]) -> None:
    prometheus, text = watched
    families = list(text_string_to_metric_families(text))
    exposed = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    exposed |= {
        family.name + end for family in families if family.type == "histogram" for end in ("_bucket", "_sum", "_count")
    }
    exposed |= {sample.name for family in families for sample in family.samples}
    exposed |= {name for name in prometheus.ask("label/__name__/values") if name.startswith("nv_")}
    named = set().union(*(metrics_named_in(each) for each in EXPRESSIONS))
    assert len(named) > 20
    assert named - exposed <= NEEDS_A_GPU


@needs_prometheus
@pytest.mark.slow
@pytest.mark.parametrize(("title", "expression"), list(figures()))
def test_a_panel_shows_something(watched: tuple[PrometheusProcess, str], title: str, expression: str) -> None:
    found = watched[0].query(expression)
    if metrics_named_in(expression) & NEEDS_A_GPU or any(each in expression for each in ONLY_WITH_FAULTS):
        return
    assert found, title
    assert all(each["value"][1] not in {"NaN", "+Inf"} for each in found), found


@needs_prometheus
@pytest.mark.slow
def test_what_was_sent_is_what_is_shown(watched: tuple[PrometheusProcess, str]) -> None:
    prometheus, _ = watched
    outcomes = {
        (each["metric"]["outcome"], each["metric"]["status"]): float(each["value"][1])
        for each in prometheus.query('veil_requests_total{route="/v1/anonymize"}')
    }
    assert outcomes == {("ok", "200"): 4, ("rejected", "422"): 1}
    found = {each["metric"]["class"]: float(each["value"][1]) for each in prometheus.query("veil_detections_total")}
    assert found["face"] >= 4
    assert "plate" in found, "a class of which nothing was found has a nought, or its alert could not speak"
