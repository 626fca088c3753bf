"""One network from several runs: the mean of their weights (Wortsman et al., 2022, "Model soups").

For runs that started from the same weights and saw other crops: the mean has what they agree on, at the cost of one.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from training.network import folded, read_checkpoint


def average(checkpoints: Sequence[Path], output: Path) -> None:
    """Writes the mean of the networks of `checkpoints`, normalization folded, as a checkpoint."""
    states = [folded(read_checkpoint(each)).state_dict() for each in checkpoints]
    mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    torch.save({"ema": mean, "mean_of": len(states)}, output)
