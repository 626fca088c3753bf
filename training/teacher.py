"""What several networks that propose say together, for one network to learn: distillation (Hinton et al., 2015)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.ink import Pixels
from training.network import OFFSET, SHRINK, ContextNet, folded, read_checkpoint

TRUST = 2.0
"""Factor on the odds of a network with context: it has seen fewer plates, and is less sure of what it finds."""


class Teacher:
    """The networks of `checkpoints`, on one thread. Raises what `torch.load` raises."""

    def __init__(self, checkpoints: Sequence[Path]) -> None:
        torch.set_num_threads(1)
        self._networks = [folded(read_checkpoint(each)) for each in checkpoints]

    def __call__(self, crop: Pixels) -> NDArray[np.float32]:
        """In each cell (h/4, w/4) of `crop` (h, w, 3) BGR, the probability that the surest of them gives."""
        pixels = torch.from_numpy(crop.astype(np.float32)).permute(2, 0, 1)[None] * SHRINK + OFFSET
        scores = []
        with torch.inference_mode():
            for network in self._networks:
                logit = network(pixels.flip(1) if network.rgb else pixels)[0, 0]
                scores.append(torch.sigmoid(logit + np.log(TRUST if isinstance(network, ContextNet) else 1.0)))
        surest: NDArray[np.float32] = torch.stack(scores).amax(0).numpy()
        return surest
