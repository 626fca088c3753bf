"""A model answers only while its file and its golden answers are right, and a picture is answered by one version."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.app.detectors import wrong_file
from service.detection import proven as proven_module
from service.detection import versions as versions_module
from service.detection.detector import SOON, TileBoxes, Tiles
from service.detection.embedded import OnnxDetector
from service.detection.golden import difference, golden_answers, golden_tiles
from service.detection.proven import ProvenDetector
from service.detection.versions import VersionedDetector
from service.errors import DetectorTimeout, DetectorUnavailable, ModelUnproven
from service.models.catalog import Catalog
from service.models.golden import Answer, Golden
from tests.toy import toy_spec, write_toy


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


class Server:
    """Which versions a server offers right now, and how often each was asked."""

    def __init__(self) -> None:
        self.offers: set[str] = set()
        self.busy = False
        self.asked: list[str] = []


class Remote:
    """A version of a toy model behind `server`, computed by `inner`."""

    def __init__(self, inner: OnnxDetector, server: Server) -> None:
        self._inner = inner
        self._server = server
        self.spec = inner.spec
        self.max_batch, self.any_size = inner.max_batch, inner.any_size

    async def detect(self, tiles: Tiles) -> TileBoxes:
        await self._there()
        self._server.asked.append(self.spec.version)
        return await self._inner.detect(tiles)

    async def check(self) -> None:
        await self._there()

    async def _there(self) -> None:
        if self._server.busy:
            raise DetectorUnavailable(cause="queue full", retry_after=SOON)
        if self.spec.version not in self._server.offers:
            raise DetectorUnavailable(cause="gone", retry_after=5)

    async def close(self) -> None: ...


async def golden_of(detector: OnnxDetector) -> Golden:
    answers = await golden_answers(detector)
    return Golden(version=detector.spec.version, sha256=detector.spec.sha256, pictures=answers)


def onnx(root: Path, pool: ThreadPoolExecutor, name: str = "toy", **graph: Any) -> tuple[Catalog, OnnxDetector]:
    spec = write_toy(root, name, **graph)
    catalog = Catalog(root, [spec])
    return catalog, OnnxDetector(spec, catalog.file(spec), pool=pool)


def test_the_pictures_fit_the_tile_and_differ() -> None:
    for size in (64, 640, 1024):
        tiles = golden_tiles(toy_spec(tile_height=size, tile_width=size))
        assert set(tiles) == {"street", "noise"}
        assert all(tile.shape == (size, size, 3) and tile.dtype == np.uint8 for tile in tiles.values())
        assert tiles["street"].std() > 20
        assert 70 < tiles["noise"].std() < 78


async def test_answers_are_written_read_and_reproduced(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    catalog, detector = onnx(tmp_path, pool)
    assert Golden.read(catalog, detector.spec) is None
    golden = await golden_of(detector)
    golden.write(catalog, detector.spec)
    assert Golden.read(catalog, detector.spec) == golden
    assert await difference(detector, golden) is None
    assert golden.pictures["noise"].scores != golden.pictures["street"].scores


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Answer(scores=(0.9, 0.1), boxes=((10, 10, 20, 20),)), None),
        (Answer(scores=(0.885, 0.1), boxes=((11, 9, 21, 19),)), None),
        (Answer(scores=(0.87, 0.1), boxes=((10, 10, 20, 20),)), "score 1 is 0.8700 instead of 0.9000"),
        (Answer(scores=(0.9, 0.05), boxes=((10, 10, 20, 20),)), "score 2 is 0.0500 instead of 0.1000"),
        (Answer(scores=(0.9, float("nan")), boxes=((10, 10, 20, 20),)), "score 2 is nan"),
        (Answer(scores=(0.9, 0.1), boxes=((10, 10, 20, 23),)), "no box at 10, 10, 20, 20, the nearest is 3.0 pixels"),
        (Answer(scores=(0.9, 0.1), boxes=()), "no box at 10, 10, 20, 20"),
        (Answer(scores=(0.9,), boxes=((10, 10, 20, 20),)), "1 scores instead of 2"),
    ],
)
def test_a_difference_is_named(found: Answer, says: str | None) -> None:
    wanted = Answer(scores=(0.9, 0.1), boxes=((10, 10, 20, 20),))
    said = Golden(version="1", sha256="", pictures={"street": wanted}).difference("street", found)
    assert said is None if says is None else says in (said or "")


async def test_an_engine_that_answers_otherwise_is_refused(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """The right checksum, other answers: as a wrong plan or backend would give."""
    _, detector = onnx(tmp_path, pool, scores="half_scores", extra="half_scores = Mul(found_scores, half)")
    golden = await golden_of(detector)
    right = golden.pictures["street"]
    doubled = right.model_copy(update={"scores": tuple(min(1, 2 * each) for each in right.scores)})
    proven = ProvenDetector(detector, golden.model_copy(update={"pictures": {**golden.pictures, "street": doubled}}))
    for question in (proven.check, lambda: proven.detect(np.zeros((1, 64, 64, 3), np.uint8))):
        with pytest.raises(ModelUnproven, match=r"toy/1 is not proven: street: score 1 is \S+ instead of"):
            await question()
    assert not proven.proven


@pytest.mark.parametrize("golden", [None, Golden(version="1", sha256="0" * 64, pictures={})])
async def test_golden_answers_that_are_missing_or_of_another_file(
    tmp_path: Path, pool: ThreadPoolExecutor, golden: Golden | None
) -> None:
    _, detector = onnx(tmp_path, pool)
    with pytest.raises(ModelUnproven, match="run 'veil models golden'"):
        await ProvenDetector(detector, golden).check()


async def test_a_file_that_changes_is_refused_until_it_is_right_again(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proven_module, "RETRY_SECONDS", 0.0)
    catalog, detector = onnx(tmp_path, pool)
    spec = detector.spec
    proven = VersionedDetector([ProvenDetector(detector, await golden_of(detector), lambda: wrong_file(catalog, spec))])
    tile = np.zeros((1, 64, 64, 3), np.uint8)
    await proven.detect(tile)
    content = catalog.file(spec).read_bytes()
    for changed in (content[:-1] + bytes([content[-1] ^ 1]), None):
        if changed is None:
            catalog.file(spec).unlink()
        else:
            catalog.file(spec).write_bytes(changed)
        await proven.prove()
        assert not proven.proven
        with pytest.raises(ModelUnproven, match=r"SHA-256 is|the file is missing"):
            await proven.detect(tile)
        catalog.file(spec).write_bytes(content)
        await proven.detect(tile)
        assert proven.proven


async def test_many_questions_prove_it_once(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    _, detector = onnx(tmp_path, pool)
    looked = 0

    def count() -> None:
        nonlocal looked
        looked += 1

    proven = ProvenDetector(detector, await golden_of(detector), count)
    await asyncio.gather(*(proven.check() for _ in range(20)))
    assert looked == 1


async def test_a_server_that_was_away_proves_itself_again_and_a_busy_one_does_not(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    _, detector = onnx(tmp_path, pool)
    server = Server()
    proven = ProvenDetector(Remote(detector, server), await golden_of(detector))
    tile = np.zeros((1, 64, 64, 3), np.uint8)
    server.offers = {"1"}
    await proven.detect(tile)
    assert len(server.asked) == 3, "two golden pictures and the tile"
    server.busy = True
    with pytest.raises(DetectorUnavailable):
        await proven.detect(tile)
    server.busy = False
    await proven.detect(tile)
    assert len(server.asked) == 4
    server.offers = set()
    with pytest.raises(DetectorUnavailable):
        await proven.detect(tile)
    server.offers = {"1"}
    await proven.detect(tile)
    assert len(server.asked) == 7


async def versions_of(root: Path, pool: ThreadPoolExecutor, server: Server) -> VersionedDetector:
    """Version 2 is wanted, 1 is accepted; both compute, the server decides which it offers."""
    found = []
    for version in ("2", "1"):
        spec = write_toy(root / version, spec={"version": version})
        detector = OnnxDetector(spec, Catalog(root / version, [spec]).file(spec), pool=pool)
        found.append(ProvenDetector(Remote(detector, server), await golden_of(detector)))
    return VersionedDetector(found)


async def test_the_version_that_is_served_answers(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_module, "FRESH_SECONDS", 0.0)
    server = Server()
    detector = await versions_of(tmp_path, pool, server)
    with pytest.raises(DetectorUnavailable):
        await detector.check()
    for offers, answers in (({"1"}, "1"), ({"1", "2"}, "2"), ({"2"}, "2"), ({"1"}, "1")):
        server.offers = offers
        assert (await detector.choose()).spec.version == detector.serving.version == answers
        assert detector.spec.version == "2"


async def test_a_choice_holds_for_a_moment(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    server = Server()
    detector = await versions_of(tmp_path, pool, server)
    server.offers = {"1"}
    assert (await detector.choose()).spec.version == "1"
    server.offers = {"1", "2"}
    assert (await detector.choose()).spec.version == "1"
    assert (await detector.choose(again=True)).spec.version == "2"


async def test_failures_other_than_absence_are_the_callers(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    class Slow(Remote):
        async def check(self) -> None:
            raise DetectorTimeout(cause="hangs")

    _, inner = onnx(tmp_path, pool)
    with pytest.raises(DetectorTimeout):
        await VersionedDetector([ProvenDetector(Slow(inner, Server()), None)]).check()


def test_the_catalog_accepts_versions_that_mean_the_same(tmp_path: Path) -> None:
    wanted = write_toy(tmp_path, "toy", spec={"version": "2"})
    other = toy_spec("toy", b"other", version="1")
    (tmp_path / "toy" / "1").mkdir()
    entry = tmp_path / "toy" / "1" / "model.json"
    entry.write_text(other.model_dump_json())
    catalog = Catalog.read(tmp_path)
    assert (catalog.specs, catalog.others) == ((wanted,), (other,))
    assert catalog.versions(wanted) == catalog.versions(other) == (wanted, other)
    assert catalog.entry(other) == entry
    for change in ({"threshold": 0.4}, {"margin": 0.2}, {"tile_width": 96}, {"version": "2"}, {"version": "3"}):
        entry.write_text(other.model_copy(update=change).model_dump_json())
        with pytest.raises(ValueError, match=r"1/model\.json"):
            Catalog.read(tmp_path)
