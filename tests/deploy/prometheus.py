"""A real Prometheus (Debian's package) with the project's rules, scraping what a test names."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from tests.deploy.compose_files import ROOT

MONITORING_FOLDER = ROOT / "deploy" / "monitoring"
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
REASON = "prometheus is not installed (tests/install-debian.sh)"
START_TIMEOUT = 30.0


class PrometheusProcess:
    """One server. Of deploy/monitoring/prometheus.yml only the places and the pace are changed.

    `targets`: job -> host:port.
    """

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        self.folder = folder
        self._targets = targets
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, path: str, **query: str) -> Any:
        """`data` of an answer of the HTTP API. Raises AssertionError with Prometheus's own words."""
        answer = httpx.get(f"http://{self._address}/api/v1/{path}", params=query, timeout=30).json()
        assert answer["status"] == "success", f"{query}: {answer.get('error')}"
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now, each with `metric` and `value`."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def __enter__(self) -> Self:
        configuration = yaml.safe_load((MONITORING_FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["rule_files"] = [str(MONITORING_FOLDER / each) for each in configuration["rule_files"]]
        assert {each["job_name"] for each in configuration["scrape_configs"]} == set(self._targets)
        for job in configuration["scrape_configs"]:
            del job["dns_sd_configs"]
            job["static_configs"] = [{"targets": [self._targets[job["job_name"]]]}]
        self.folder.mkdir()
        file = self.folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        with (self.folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(PROMETHEUS),
                    f"--config.file={file}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address={self._address}",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx.get(f"http://{self._address}/-/ready", timeout=5).status_code == httpx.codes.OK:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError((self.folder / "prometheus.log").read_text(encoding="utf-8"))

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
