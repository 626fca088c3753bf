"""The second look at proposals: what is cut out, how both verdicts become one, and when nothing is looked at."""

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.models import counted, platenet
from service.models import second_stage as stage
from service.models.catalog import Catalog
from service.models.contract import SLOTS, TILE, finished, part
from service.models.counted import count_places
from service.models.variants import half, ordered
from tests.pictures import street

Floats = npt.NDArray[np.float32]


def session(content: bytes) -> ort.InferenceSession:
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"])


def proposals(boxes: list[tuple[float, float, float, float]], scores: list[float]) -> tuple[Floats, Floats]:
    """A tile's answer with these first, padded to SLOTS: (1, SLOTS, 4), (1, SLOTS)."""
    xyxy, score = np.zeros((1, SLOTS, 4), np.float32), np.zeros((1, SLOTS), np.float32)
    xyxy[0, :, 2:] = 20
    xyxy[0, : len(boxes)], score[0, : len(scores)] = boxes, scores
    return xyxy, score


def first(boxes: Floats, scores: Floats) -> bytes:
    """A file in the contract that proposes the same for each tile, whatever it shows."""
    tensor = helper.make_tensor_value_info
    ends = {"boxes": [SLOTS, 4], "scores": [SLOTS]}
    nodes = [
        helper.make_node("Cast", ["tiles"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["values"], ["image"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMax", ["image"], ["whole"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["whole", "nothing"], ["zero"]),
        helper.make_node("Unsqueeze", ["zero", "one"], ["zeros"]),
        helper.make_node("Unsqueeze", ["zeros", "two"], ["more_zeros"]),
        helper.make_node("Add", ["given_scores", "zeros"], ["scores"]),
        helper.make_node("Add", ["given_boxes", "more_zeros"], ["boxes"]),
    ]
    weights = [
        numpy_helper.from_array(each, name)
        for name, each in {
            "nothing": np.array(0, np.float32), "one": np.array([1]), "two": np.array([2]), "given_scores": scores,
            "given_boxes": boxes,
        }.items()
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "first",
        [tensor("tiles", TensorProto.UINT8, ["batch", TILE, TILE, 3])],
        [tensor(name, TensorProto.FLOAT, ["batch", *sides]) for name, sides in ends.items()],
        weights,
    )
    return finished(helper.make_model(graph))


def judge() -> onnx.ModelProto:
    """Believes what is bright in its middle: logit = mean of the middle pixels - 128."""
    weight = np.zeros((1, 3, stage.HEIGHT, stage.WIDTH), np.float32)
    weight[:, :, stage.HEIGHT // 2 - 2 : stage.HEIGHT // 2 + 2, stage.WIDTH // 2 - 2 : stage.WIDTH // 2 + 2] = 1 / 48
    text = f"""
    judge (float[places, 3, {stage.HEIGHT}, {stage.WIDTH}] patches, float[places, 2] sizes)
        => (float[places, 1] judgment)
    <int64[2] flat = {{-1, 1}}>
    {{
        middle = Conv(patches, weight)
        mean = Reshape(middle, flat)
        judgment = Add(mean, bias)
    }}
    """
    made = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]>' + text)
    made.graph.initializer.append(numpy_helper.from_array(weight, "weight"))
    made.graph.initializer.append(numpy_helper.from_array(np.array(-128, np.float32), "bias"))
    return made


def patch(tile: npt.NDArray[np.uint8], box: tuple[float, float, float, float]) -> Floats:
    """The reference: OpenCV's bilinear sampling at twice the size, averaged; (3, HEIGHT, WIDTH)."""
    x1, y1, x2, y2 = box
    wide, high = stage.AROUND_X * (x2 - x1), stage.AROUND_Y * (y2 - y1)
    columns = (x1 + x2 - wide) / 2 + (np.arange(stage.SAMPLES_X) + 0.5) * wide / stage.SAMPLES_X - 0.5
    rows = (y1 + y2 - high) / 2 + (np.arange(stage.SAMPLES_Y) + 0.5) * high / stage.SAMPLES_Y - 0.5
    x, y = (each.astype(np.float32) for each in np.meshgrid(columns, rows))
    sampled = cv2.remap(tile.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return cv2.resize(sampled, (stage.WIDTH, stage.HEIGHT), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)


def test_places_are_cut_out_around_their_boxes_and_beyond_the_tile_is_black() -> None:
    places = [(200.0, 300.0, 260.5, 320.25), (-9.0, 4.0, 25.0, 18.0), (610.0, 600.0, 700.0, 680.0)]
    boxes, _ = proposals(places, [0.9, 0.5, 0.4])
    tile = street()
    image = tile[None].transpose(0, 3, 1, 2).astype(np.float32)
    cut = session(part(stage._CUT).SerializeToString())
    answer = cut.run([stage.PATCHES, stage.SIZES], {"image": image, "proposed": boxes[:, : stage.AT_ONCE]})
    for k, place in enumerate(places):
        # OpenCV rounds positions to a 32nd of a pixel.
        difference = np.abs(np.asarray(answer[0])[k] - patch(tile, place))
        assert difference.max() < 12
        assert difference.mean() < 0.5
        sides = np.array([place[2] - place[0], place[3] - place[1]])
        np.testing.assert_allclose(np.asarray(answer[1])[k], np.log(sides / stage.UNIT), atol=1e-5)
    assert not np.asarray(answer[0])[1][:, :, :8].any(), "left of the tile there is nothing"


def test_both_verdicts_make_the_score() -> None:
    dark, bright = (100.0, 100.0, 140.0, 120.0), (400.0, 100.0, 440.0, 120.0)
    tiles = np.zeros((2, TILE, TILE, 3), np.uint8)
    tiles[0, :, 320:], tiles[1, :, :320] = 255, 128
    content = stage.add_second_stage(first(*proposals([dark, bright], [0.8, 0.6])), "image", judge())
    boxes, scores = (np.asarray(each) for each in session(content).run(["boxes", "scores"], {"tiles": tiles}))
    for k, (place, score, probability) in enumerate(((bright, 0.6, 1.0), (dark, 0.8, 0.5))):
        expected = score ** (1 - stage.SHARE) * probability**stage.SHARE
        assert scores[k, 0] == pytest.approx(expected, rel=1e-4)
        assert scores[k, 1] == pytest.approx(0, abs=1e-3), "the other place is dark"
        assert (np.diff(scores[k]) <= 0).all()
        np.testing.assert_allclose(boxes[k, 0], place, rtol=1e-5)


def test_what_follows_the_best_is_left_as_it_is() -> None:
    places = [(float(k * 2), 50.0, float(k * 2 + 30), 66.0) for k in range(stage.PLACES + 3)]
    given = np.linspace(0.9, stage.LEAST + 0.01, len(places)).tolist()
    content = stage.add_second_stage(first(*proposals(places, given)), "image", judge())
    tiles = np.zeros((1, TILE, TILE, 3), np.uint8)
    boxes, scores = (np.asarray(each)[0] for each in session(content).run(["boxes", "scores"], {"tiles": tiles}))
    np.testing.assert_allclose(scores[:3], given[-3:], rtol=1e-6)
    np.testing.assert_allclose(boxes[:3], places[-3:], rtol=1e-6)
    assert (scores[3:] < 0.01).all(), "all others were looked at, and are dark"


def test_a_tile_is_answered_the_same_alone_and_beside_others() -> None:
    """The second tile has nothing that is looked at again; beside the first one, the branch is taken all the same."""
    places = [(100.0, 100.0, 140.0, 120.0), (300.0, 100.0, 340.0, 120.0)]
    (boxes, low), (_, high) = (proposals(places, [score, score / 2]) for score in (stage.LEAST - 0.01, 0.8))
    tiles = np.full((2, TILE, TILE, 3), 255, np.uint8)
    alone, beside = (
        session(stage.add_second_stage(first(boxes, scores), "image", judge()))
        for scores in (low, np.concatenate([high, low]))
    )
    expected = alone.run(["boxes", "scores"], {"tiles": tiles[:1]})
    found = beside.run(["boxes", "scores"], {"tiles": tiles})
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(ours)[1], np.asarray(theirs)[0])
    np.testing.assert_array_equal(np.asarray(expected[1])[0], low[0])
    np.testing.assert_array_equal(np.asarray(expected[0])[0, :2], places)
    assert np.asarray(found[1])[0, 0] > high[0, 0], "the first tile was looked at again"


@pytest.mark.parametrize(("likely", "looks"), [(0, 0), (1, 1), (8, 1), (9, 2), (24, 3), (40, 3)])
def test_places_are_looked_at_while_there_is_a_likely_one(likely: int, looks: int, tmp_path: Path) -> None:
    scores = [0.7] * likely + [stage.LEAST - 0.01]
    places = [(float(k * 2), 50.0, float(k * 2 + 30), 66.0) for k in range(len(scores))]
    content = stage.add_second_stage(first(*proposals(places, scores)), "image", judge())
    options = ort.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    observed = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    observed.run(None, {"tiles": np.zeros((1, TILE, TILE, 3), np.uint8)})
    events = json.loads(Path(observed.end_profiling()).read_text(encoding="utf-8"))
    assert sum(each.get("args", {}).get("op_name") == "GridSample" for each in events) == looks


@pytest.mark.parametrize("likely", [0, 1, 5, 9, 40])
def test_for_a_processor_as_many_places_are_looked_at_as_are_likely(likely: int, tmp_path: Path) -> None:
    """The second tile of the batch has one likely place less. What comes out is what the groups give."""
    rows = [[0.7] * likely + [stage.LEAST - 0.01], [0.7] * max(0, likely - 1) + [0.1]]
    places = [(float(k * 12), 50.0, float(k * 12 + 30), 66.0) for k in range(likely + 1)]
    (boxes, one), (_, other) = (proposals(places, scores) for scores in rows)
    content = stage.add_second_stage(first(boxes, np.concatenate([one, other])), "image", judge())
    changed = onnx.load_from_string(content)
    del changed.graph.value_info[:]
    count_places(changed)
    tiles = np.full((2, TILE, TILE, 3), 140, np.uint8)
    tiles[:, :, 200:] = 90
    options = ort.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    observed = ort.InferenceSession(ordered(changed), options, providers=["CPUExecutionProvider"])
    found, expected = (each.run(["boxes", "scores"], {"tiles": tiles}) for each in (observed, session(content)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-6)
    events = json.loads(Path(observed.end_profiling()).read_text(encoding="utf-8"))
    shapes = [
        each["args"]["input_type_shape"][1]["float"]
        for each in events
        if each.get("args", {}).get("op_name") == "RoiAlign"
    ]
    assert shapes == ([[2 * min(likely, stage.PLACES), 4]] if likely else [])


def test_for_a_processor_places_are_cut_out_as_in_groups() -> None:
    """But for the pixel beyond an edge of the tile. Places of two tiles."""
    rows = [
        [(200.0, 300.0, 260.5, 320.25), (-9.0, 4.0, 25.0, 18.0)],
        [(610.0, 600.0, 700.0, 680.0), (5.0, 5.0, 9.0, 8.0)],
    ]
    proposed = np.float32(rows)
    image = np.stack([street(), street()[:, ::-1]]).transpose(0, 3, 1, 2).astype(np.float32)
    middle = (proposed[..., :2] + proposed[..., 2:]) / 2
    wide = (proposed[..., 2:] - proposed[..., :2]) * np.float32([stage.AROUND_X, stage.AROUND_Y])
    expected, found = (
        np.asarray(session(part(text).SerializeToString()).run([stage.PATCHES], {"image": image, **given})[0])
        for text, given in ((stage._CUT, {"proposed": proposed}), (counted._CUT, {"middle": middle, "wide": wide}))
    )
    assert found.shape == expected.shape == (4, 3, stage.HEIGHT, stage.WIDTH)
    apart = np.abs(found - expected)
    assert np.quantile(apart, 0.99) < 0.1
    assert (apart[0] < 0.1).all(), "within the tile"
    assert not found[1][:, :, :8].any(), "left of the tile there is nothing"


def test_half_precision_leaves_the_second_stage_alone() -> None:
    whole = stage.add_second_stage(first(*proposals([(100.0, 100.0, 140.0, 120.0)], [0.8])), "image", judge())
    tiles = np.full((1, TILE, TILE, 3), 255, np.uint8)
    expected, found = (session(each).run(["boxes", "scores"], {"tiles": tiles}) for each in (whole, half(whole)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5)


def test_the_shipped_model_is_both_networks(catalog: Catalog) -> None:
    """The reference: the committed networks, one after the other, with the arithmetic in NumPy."""
    (spec,) = (each for each in catalog.specs if each.name == "plate")
    folder, tiles = catalog.root / "plate", street()[None]
    proposing = platenet.proposing((folder / platenet.SOURCE).read_bytes())
    boxes, scores = (np.asarray(each)[0] for each in session(proposing).run(["boxes", "scores"], {"tiles": tiles}))
    likely = np.flatnonzero(scores[: stage.PLACES] >= stage.LEAST)
    sides = boxes[likely, 2:] - boxes[likely, :2]
    patches = np.stack([patch(tiles[0], tuple(boxes[k])) for k in likely])
    second = session((folder / platenet.SECOND).read_bytes())
    (judgment,) = second.run(None, {stage.PATCHES: patches, stage.SIZES: np.log(sides / stage.UNIT)})
    judgment = np.asarray(judgment)
    probability = 1 / (1 + np.exp(-judgment[:, 0]))
    scores[likely] = scores[likely] ** (1 - stage.SHARE) * probability**stage.SHARE
    best = np.argsort(-scores, kind="stable")[:5]
    found = session(catalog.file(spec).read_bytes()).run(["boxes", "scores"], {"tiles": tiles})
    np.testing.assert_allclose(np.asarray(found[1])[0, :5], scores[best], atol=0.01)
    np.testing.assert_allclose(np.asarray(found[0])[0, 0], boxes[best[0]], atol=0.5)
