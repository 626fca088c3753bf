"""Metrics and health on the port for operators."""

import httpx
from prometheus_client import CollectorRegistry, Counter

from service.observability.operations import serve_operations


def late() -> tuple[bool, str]:
    raise TimeoutError


def test_each_path_has_its_answer() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc()
    health = {
        "/livez": lambda: (True, '{"status": "live"}'),
        "/readyz": lambda: (False, '{"status": "not ready"}'),
        "/late": late,
    }
    with serve_operations(registry, health, "127.0.0.1", 0) as port, httpx.Client() as client:
        client.base_url = f"http://127.0.0.1:{port}"
        assert "things_total 1.0" in client.get("/metrics").text
        live, ready, slow = (client.get(path) for path in health)
        assert (live.status_code, live.json()) == (200, {"status": "live"})
        assert (ready.status_code, ready.json()) == (503, {"status": "not ready"})
        assert slow.status_code == 503
        assert client.get("/").status_code == client.get("/v1/receipts").status_code == 404


def test_it_listens_on_ipv6_too() -> None:
    with serve_operations(CollectorRegistry(), {}, "::1", 0) as port:
        assert httpx.get(f"http://[::1]:{port}/metrics").status_code == 200
