"""The targets of `make fuzz` with their corpus and some mutations each, without coverage and without atheris."""

import numpy as np
import pytest

from benchmarks.fuzz.seeds import LARGEST, corpus
from benchmarks.fuzz.targets import TARGETS
from tests.hostile.mutations import mutated

MUTATIONS = 60


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_whatever_comes(name: str) -> None:
    target = TARGETS[name]
    files = [data for _, data in corpus(name)]
    assert len(files) >= 3
    with np.errstate(all="ignore"):
        for data in files:
            target(data)
        for seed in range(MUTATIONS):
            target(mutated(files[seed % len(files)], seed, tuple(files))[:LARGEST])
