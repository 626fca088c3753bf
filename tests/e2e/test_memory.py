"""What a picture really takes in a service process, against what is promised and what admission reckons with."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.pictures import jpeg, street
from service.imaging.cubemap import FACES
from service.imaging.footprint import cube_footprint, footprint
from service.imaging.source import SourceLimits, inspect
from service.policy import ClassPolicy, OutputFormat, Policy, Shape
from tests.service_process import ServiceProcess
from tests.toy import write_toy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MIB = 1024 * 1024
LIMITS = SourceLimits(200_000_000, 65_500)
POLICY = Policy(classes=(ClassPolicy(name="red", threshold=0.5, margin=0.1, shape=Shape.BOX),))


def toy_process(folder: Path, **environ: str) -> ServiceProcess:
    """A service with a toy model that is proven."""
    write_toy(folder / "models", "red", side=640, spec={"tile_width": 640, "tile_height": 640})
    # The same pictures in memory, fewer tiles.
    environ = {"VEIL_MODELS__REPOSITORY": str(folder / "models"), "VEIL_DEFAULTS__EFFORT": "fast", **environ}
    process = ServiceProcess(folder, environ)
    written = process.run("models", "golden", timeout=240)
    assert written.returncode == 0, written.stderr
    return process


@dataclass(frozen=True)
class Toy:
    """A real service whose real, small model costs next to nothing: what is left is the picture."""

    service: ServiceProcess
    fresh_bytes: int
    """Resident after its first, small picture, when no large one has left anything in the heap yet."""

    def hold_to(self, estimate: int, send: Callable[[], httpx.Response]) -> None:
        """What `send` needs is at most `estimate`, and at least a third of it.

        The heap keeps some of what earlier pictures needed, and this one uses that again: it adds less than it needs.
        """
        post(self.service, jpeg(dotted(1000, 800))).raise_for_status()
        before = self.service.usage.memory_info().rss
        self.service.reset_peak()
        answer = send()
        answer.raise_for_status()
        assert "red=0" not in answer.headers["Veil-Detections"], "nothing was masked"
        peak = self.service.peak_bytes()
        added, needed = peak - before, peak - self.fresh_bytes
        assert added <= estimate, f"{added / MIB:.0f} MiB were added, {estimate / MIB:.0f} were reckoned with"
        assert estimate <= 3 * needed, f"{needed / MIB:.0f} MiB were needed, {estimate / MIB:.0f} were reckoned with"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    with toy_process(tmp_path_factory.mktemp("memory")) as service:
        post(service, jpeg(dotted(1000, 800))).raise_for_status()
        yield Toy(service, service.usage.memory_info().rss)


def post(service: ServiceProcess, body: bytes, **options: str) -> httpx.Response:
    headers = {"Content-Type": "image/jpeg"}
    return httpx.post(f"{service.url}/v1/anonymize", params=options, content=body, headers=headers, timeout=600)


def dotted(width: int, height: int) -> np.ndarray:
    """Photographic texture with red squares."""
    pixels = street(width, height)
    for i in range(12):
        x, y = (i * 997) % (width - 90), (i * 613) % (height - 90)
        pixels[y : y + 90, x : x + 90] = (255, 0, 0)
    return pixels


def with_pillow(pixels: np.ndarray, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, name, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        ("baseline", OutputFormat.SAME),
        ("progressive", OutputFormat.SAME),
        ("full chroma", OutputFormat.SAME),
        ("png", OutputFormat.SAME),
        ("baseline", OutputFormat.PNG),
        ("baseline", OutputFormat.WEBP),
    ],
)
def test_the_estimate_is_an_upper_bound_that_is_not_far_off(toy: Toy, case: str, wanted: OutputFormat) -> None:
    pixels = dotted(7680, 3840)
    body = {
        "baseline": lambda: jpeg(pixels),
        "progressive": lambda: with_pillow(pixels, "JPEG", quality=90, progressive=True),
        "full chroma": lambda: with_pillow(pixels, "JPEG", quality=90, subsampling=0),
        "png": lambda: with_pillow(pixels, "PNG", compress_level=1),
    }[case]()
    estimate = footprint(inspect(body, LIMITS), POLICY.model_copy(update={"format": wanted}), patching=True)
    options = {} if wanted is OutputFormat.SAME else {"format": wanted.value}
    toy.hold_to(estimate, lambda: post(toy.service, body, **options))


def test_the_estimate_holds_for_a_cube(toy: Toy) -> None:
    side = 2048
    faces = {name: jpeg(dotted(side, side)) for name in FACES}
    sources = {name: inspect(body, LIMITS) for name, body in faces.items()}
    estimate = cube_footprint(sources, POLICY, patching=True)
    toy.hold_to(estimate, lambda: httpx.post(f"{toy.service.url}/v1/anonymize", files=faces, timeout=600))


def test_a_picture_that_can_never_fit_is_refused_and_a_smaller_one_is_not(tmp_path: Path) -> None:
    with toy_process(tmp_path, VEIL_ADMISSION__MEMORY_BYTES=str(100 * MIB)) as service:
        refused = post(service, jpeg(dotted(6000, 4000)))
        assert refused.status_code == 422
        assert refused.json()["type"] == "/problems/too-much-memory"
        assert post(service, jpeg(dotted(2000, 1500))).status_code == 200


def test_a_panorama_of_134_megapixels_needs_less_than_a_gibibyte(tmp_path: Path) -> None:
    body = jpeg(street(16384, 8192))
    with ServiceProcess(tmp_path) as service:
        post(service, jpeg(street(1600, 1200))).raise_for_status()
        answer = post(service, body, effort="fast")  # the same pictures in memory, fewer tiles
        answer.raise_for_status()
        peak = service.peak_bytes()
    assert "face=0" not in answer.headers["Veil-Detections"], "nothing was masked"
    assert len(answer.content) > len(body) / 2
    assert peak < 1024 * MIB, f"{peak / MIB:.0f} MiB"
