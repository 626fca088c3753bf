"""One target under libFuzzer until its time is over or something is found: `python -m benchmarks.fuzz.worker TARGET …`.

What follows the target's name goes to libFuzzer. Half of the mutations know the formats, as those of the hostile tests
do; the other half are libFuzzer's own.
"""

import sys

import atheris
import numpy as np

with atheris.instrument_imports(include=["service.imaging"]):
    from benchmarks.fuzz.targets import TARGETS

from benchmarks.fuzz.seeds import corpus
from tests.hostile.mutations import mutated


def main(name: str, arguments: list[str]) -> None:
    target = TARGETS[name]
    others = tuple(data for _, data in corpus(name))

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        if seed % 2:
            changed: bytes = atheris.Mutate(data, largest)
            return changed
        return mutated(data, seed, others)[:largest]

    # A decoder that overflows does so for the noise it was given; what it returns is judged by the target.
    np.seterr(all="ignore")
    atheris.Setup([sys.argv[0], *arguments], target, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
