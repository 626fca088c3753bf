import socket
import urllib.error
import urllib.request

import pytest

from service.observability.metrics import Metrics
from service.observability.operations import serve_operations


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text: str = response.read().decode()
        return text


def test_metrics_are_served_on_their_own_port_until_the_block_ends() -> None:
    metrics = Metrics("1.2.3", "triton")
    metrics.request(route="/v1/anonymize", outcome="ok", status=200, seconds=0.3)
    metrics.stages({"decode": 12.0, "detect": 300.0})
    metrics.picture(12_000_000, {"face": 3, "plate": 0})
    metrics.detector_error("detector-timeout")
    metrics.receipt_lost()
    waiting = 2
    metrics.watch_admission(lambda: 5, lambda: waiting)
    with serve_operations(metrics.registry, {}, "127.0.0.1", 0) as port:
        text = scrape(port)
        for line in (
            'veil_build_info{engine="triton",version="1.2.3"} 1.0',
            'veil_requests_total{outcome="ok",route="/v1/anonymize",status="200"} 1.0',
            'veil_stage_duration_seconds_sum{stage="decode"} 0.012',
            'veil_detections_total{class="face"} 3.0',
            'veil_detections_total{class="plate"} 0.0',
            "veil_image_megapixels_sum 12.0",
            'veil_detector_errors_total{kind="detector-timeout"} 1.0',
            "veil_receipts_lost_total 1.0",
            "veil_admission_places 5.0",
            "veil_admission_waiting 2.0",
        ):
            assert line in text.splitlines()
        assert "process_resident_memory_bytes" in text
        waiting = 7
        assert "veil_admission_waiting 7.0" in scrape(port)
    with pytest.raises(urllib.error.URLError):
        scrape(port)


def test_a_taken_port_is_an_error_at_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        serving = serve_operations(Metrics("1", "triton").registry, {}, "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            serving.__enter__()


def test_two_processes_worth_of_metrics_do_not_meet() -> None:
    first, second = Metrics("1", "triton"), Metrics("1", "triton")
    first.receipt_lost()
    assert second.registry.get_sample_value("veil_receipts_lost_total") == 0
