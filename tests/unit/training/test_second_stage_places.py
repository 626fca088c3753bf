"""What the second stage learns from: places as the graph cuts them out, with their labels, written and read again."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnxruntime as ort

from service.models import platenet, second_stage
from service.models.catalog import Catalog
from service.models.contract import TILE, part
from tests.pictures import street
from training.fonts import Fonts
from training.photographs import Photographs, boxes
from training.places import Places, write
from training.proposals import DRAWN, FirstStage, Proposals, collect, patch
from training.samples import Mixture, Samples


@pytest.fixture
def stream(catalog: Catalog, photographs: Photographs, fonts: Fonts) -> list[Proposals]:
    samples = Samples(photographs, fonts, 3, Mixture(sides=(192,)), textures=6)
    found = collect(samples, FirstStage(catalog.root / "plate"), np.random.default_rng(4))
    return [next(found) for _ in range(12)]


def test_a_place_is_cut_out_as_the_graph_does_it() -> None:
    rng = np.random.default_rng(1)
    tile = np.repeat(np.repeat(rng.integers(0, 256, (TILE // 8, TILE // 8, 3), dtype=np.uint8), 8, 0), 8, 1)
    places = boxes([[100.5, 200, 180, 224], [-10, -4, 30, 12], [600, 610, 660, 655]])
    proposed = np.tile(places[:1], (1, second_stage.AT_ONCE, 1))
    proposed[0, : len(places)] = places
    graph = ort.InferenceSession(part(second_stage._CUT).SerializeToString(), providers=["CPUExecutionProvider"])
    image = tile[None].transpose(0, 3, 1, 2).astype(np.float32)
    (patches,) = graph.run([second_stage.PATCHES], {"image": image, "proposed": proposed})
    for k, place in enumerate(places):
        ours = patch(tile, place).transpose(2, 0, 1).astype(np.float32)
        assert np.abs(ours - np.asarray(patches)[k]).mean() < 1.5


def test_proposals_are_those_of_the_graph(catalog: Catalog) -> None:
    folder = catalog.root / "plate"
    graph = ort.InferenceSession(
        platenet.proposing((folder / platenet.SOURCE).read_bytes()),
        providers=["CPUExecutionProvider"],
    )
    tile = street()
    boxes_of_graph, scores_of_graph = (
        np.asarray(each)[0] for each in graph.run(["boxes", "scores"], {"tiles": tile[None]})
    )
    places, scores = FirstStage(folder).propose(np.ascontiguousarray(tile[..., ::-1]))
    assert len(scores) > 3
    scores = scores[: len(scores_of_graph)]
    np.testing.assert_allclose(scores, scores_of_graph[: len(scores)], atol=1e-3)
    np.testing.assert_allclose(places[0], boxes_of_graph[0], atol=0.5)


def test_places_have_the_labels_of_what_they_show(stream: list[Proposals]) -> None:
    for each in stream:
        n = len(each)
        assert each.pixels.shape == (n, second_stage.HEIGHT, second_stage.WIDTH, 3)
        assert (each.sides >= 2).all()
        drawn = each.score == DRAWN
        assert (each.overlap[drawn] > 0.1).all(), "what is drawn is about where a plate is"
        right = each.overlap > 0.5
        assert (np.abs(each.offsets[right]) < 1).all()
    everything = np.concatenate([each.overlap for each in stream])
    assert (everything > 0.5).any()
    assert (everything == 0).any()


def test_places_are_read_as_they_were_written(stream: list[Proposals], tmp_path: Path) -> None:
    total = sum(map(len, stream))
    assert write(iter(stream), tmp_path, "a", total - len(stream[-1]) + 1) == total
    places = Places(tmp_path)
    assert len(places) == total
    np.testing.assert_array_equal(places.pixels(np.arange(total)), np.concatenate([each.pixels for each in stream]))
    np.testing.assert_array_equal(places.offsets, np.concatenate([each.offsets for each in stream]))
    proposed, drawn, hard, easy = places.pools()
    assert (places.overlap[np.concatenate([proposed, drawn])] >= 0.5).all()
    assert (places.overlap[np.concatenate([hard, easy])] <= 0.1).all()
    assert (places.score[drawn] == DRAWN).all()
    assert len(set(np.concatenate([proposed, drawn, hard, easy]).tolist())) == sum(
        map(len, (proposed, drawn, hard, easy))
    )
