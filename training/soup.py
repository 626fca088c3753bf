"""One network from several runs: the mean of their weights (Wortsman et al., 2022, "Model soups").

For runs that started from the same weights, or one from the other: the mean has what they agree on, at the cost of one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.network import folded, read_checkpoint


def average(checkpoints: Sequence[Path], output: Path, shares: Sequence[float] = ()) -> None:
    """Writes the mean of the networks of `checkpoints` as a checkpoint; `shares` weigh them, equally if there are none.

    A first network's normalization is folded. Raises ValueError if there is not one share for each.
    """
    shares = shares or [1.0] * len(checkpoints)
    if len(shares) != len(checkpoints):
        raise ValueError(f"{len(checkpoints)} checkpoints need as many shares, not {len(shares)}")
    weights = [share / sum(shares) for share in shares]
    states = [_state(read_checkpoint(each)) for each in checkpoints]
    mean = {name: _mean([state[name] for state in states], weights) for name in states[0]}
    torch.save({"ema": mean, "mean_of": len(states)}, output)


def _state(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Of a first network with its normalization folded, of a second one as it is."""
    return weights if any(name.startswith("body.") for name in weights) else folded(weights).state_dict()


def _mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if not tensors[0].dtype.is_floating_point:  # how often a normalization was updated
        return tensors[0]
    return torch.stack([weight * each for weight, each in zip(weights, tensors, strict=True)]).sum(0)
