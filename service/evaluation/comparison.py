"""Two reports on the same pictures: what changed, and whether other pictures might have said otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.evaluation.bootstrap import Estimate, Float64, difference
from service.evaluation.coverage import HIDDEN, STRICT
from service.evaluation.dataset import DatasetError
from service.evaluation.report import PictureResult, Report
from service.evaluation.summary import counts, groups, hidden, of_class, sums

PAIR = tuple[list[PictureResult], list[PictureResult]]


@dataclass(frozen=True, slots=True)
class Change:
    """A figure in both reports, and the second less the first with its interval."""

    class_name: str
    name: str
    one: float
    other: float
    change: Estimate

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out no change at all."""
        return self.change.low > 0 or self.change.high < 0


def compare(one: Report, other: Report) -> list[Change]:
    """Every figure that both have, over the pictures that both have.

    Raises DatasetError if the reports speak of other annotations, or share no picture.
    """
    if one.setup.dataset_digest != other.setup.dataset_digest:
        raise DatasetError("the two reports are on different annotations")
    pair = _paired(one, other)
    if not pair[0]:
        raise DatasetError("the two reports have no picture in common")
    known = {each.name for each in other.setup.classes}
    classes = [each.name for each in one.setup.classes if each.name in known]
    return [change for name in classes for change in (*_recall(pair, name), *_false(pair, name))]


def _paired(one: Report, other: Report) -> PAIR:
    """The results of the pictures that both have, in the same order."""
    theirs = {each.id: each for each in other.pictures}
    shared = [each for each in one.pictures if each.id in theirs]
    return shared, [theirs[each.id] for each in shared]


def _recall(pair: PAIR, class_name: str) -> Iterator[Change]:
    for _, name, member in groups(pair[0]):
        belongs = of_class(class_name, member)
        for share, title in ((HIDDEN, f"{HIDDEN:.0%} hidden"), (STRICT, f"{STRICT:.0%} hidden")):
            one, other = (sums(pictures, belongs, hidden(share)) for pictures in pair)
            yield from _change(class_name, f"{name}, {title}", one, other)


def _false(pair: PAIR, class_name: str) -> Iterator[Change]:
    for title, only_negatives in (("false boxes per picture", False), ("false boxes per negative", True)):
        one, other = (
            np.array([e.false for p, e in counts(pictures, class_name) if p.negative or not only_negatives], np.float64)
            for pictures in pair
        )
        if len(one) == len(other):
            yield from _change(class_name, title, (one, np.ones_like(one)), (other, np.ones_like(other)))


def _change(
    class_name: str, name: str, one: tuple[Float64, Float64], other: tuple[Float64, Float64]
) -> Iterator[Change]:
    change = difference(one, other)
    if change is not None:
        before, after = (float(part.sum() / whole.sum()) for part, whole in (one, other))
        yield Change(class_name, name, before, after, change)
