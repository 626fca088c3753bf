"""Prometheus metrics of one process, in a registry of their own."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.process_collector import ProcessCollector

from service.errors import DetectionFailed

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
MEGAPIXELS = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 50.0, 80.0, 150.0)


class Metrics:
    """Every metric of the service. Labels come from closed sets, so no request can add series."""

    def __init__(self, version: str, engine: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("veil_build", "Version and engine of this process.", registry=self.registry).info(
            {"version": version, "engine": engine}
        )
        self._requests = Counter(
            "veil_requests",
            "Finished requests; the outcome is ok, rejected (the request's fault) or failed (the service's).",
            ["route", "outcome", "status"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "veil_request_duration_seconds",
            "From a request's headers to its complete answer, without the time that a slow reader takes.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "veil_stage_duration_seconds",
            "Time of each stage of a picture.",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._megapixels = Histogram(
            "veil_image_megapixels",
            "Size of the pictures that were processed.",
            buckets=MEGAPIXELS,
            registry=self.registry,
        )
        self._detections = Counter(
            "veil_detections", "Objects found in released answers.", ["class"], registry=self.registry
        )
        self._detector_errors = Counter(
            "veil_detector_errors", "Pictures that failed in detection.", ["kind"], registry=self.registry
        )
        kinds: list[type[DetectionFailed]] = [DetectionFailed, *DetectionFailed.__subclasses__()]
        for kind in kinds:
            self._detector_errors.labels(kind.slug)  # begun at zero: the first error is an increase, too
        self._receipts_lost = Counter(
            "veil_receipts_lost", "Requests that ended without a stored receipt.", registry=self.registry
        )

        self._connections_ended = Counter(
            "veil_connections_ended",
            "Connections that the service ended: too slow, too large a head, too many, or not HTTP.",
            ["problem"],
            registry=self.registry,
        )
        self._certificate = Gauge(
            "veil_tls_certificate_expiry_timestamp_seconds",
            "When the TLS certificate in use ends; 0 without TLS.",
            registry=self.registry,
        )
        self._proven = Gauge(
            "veil_model_proven",
            "Whether the model's file and golden answers were right when last looked at; pictures are refused if not.",
            ["model"],
            registry=self.registry,
        )
        self._version = Gauge(
            "veil_model_version", "Version of the model that answers.", ["model"], registry=self.registry
        )
        self._places = Gauge(
            "veil_admission_places", "Requests that were admitted and not yet answered.", registry=self.registry
        )
        self._waiting = Gauge(
            "veil_admission_waiting", "Admitted requests that upload or wait for a worker.", registry=self.registry
        )

    def request(self, *, route: str, outcome: str, status: int, seconds: float) -> None:
        """Counts one finished request; `route` is the template, never the path that was asked for."""
        self._requests.labels(route, outcome, str(status)).inc()
        self._durations.labels(route).observe(seconds)

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        """The stages that a picture came through, also if it failed in the last of them."""
        for stage, spent in timings_ms.items():
            self._stages.labels(stage).observe(spent / 1000)

    def picture(self, pixels: int, counts: Mapping[str, int]) -> None:
        """One picture that was answered: its size and the objects found in it, by class."""
        self._megapixels.observe(pixels / 1e6)
        for name, count in counts.items():
            self._detections.labels(name).inc(count)

    def detector_error(self, kind: str) -> None:
        self._detector_errors.labels(kind).inc()

    def receipt_lost(self) -> None:
        self._receipts_lost.inc()

    def connection_ended(self, problem: str) -> None:
        self._connections_ended.labels(problem).inc()

    def watch_admission(self, places: Callable[[], int], waiting: Callable[[], int]) -> None:
        """Asks on each scrape: requests that hold a place, and those of them that do not have a worker yet."""
        self._places.set_function(places)
        self._waiting.set_function(waiting)

    def watch_certificate(self, expires: Callable[[], float]) -> None:
        """Asks on each scrape: when the certificate of the API's port ends, in seconds since 1970."""
        self._certificate.set_function(expires)

    def watch_models(self, names: Iterable[str], proven: Callable[[str], bool], version: Callable[[str], str]) -> None:
        """Asks on each scrape: whether each model is proven to be the right one, and which version answers."""
        for name in names:
            self._proven.labels(name).set_function(partial(_number, proven, name))
            self._version.labels(name).set_function(partial(_number, version, name))


def _number(ask: Callable[[str], str | bool], name: str) -> float:
    return float(ask(name))
