"""The figures of a report, from the results of its pictures."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from service.evaluation.bootstrap import Float64, rate
from service.evaluation.coverage import HIDDEN, STRICT
from service.evaluation.report import CountResult, CurvePoint, FalseRow, Group, ObjectResult, PictureResult, RecallRow

HEIGHTS = (
    (0.0, 16.0, "below 16 px"),
    (16.0, 32.0, "16–32 px"),
    (32.0, 96.0, "32–96 px"),
    (96.0, np.inf, "96 px and up"),
)
"""Groups by the height of the annotated box in upright pixels: from, below, name."""

CURVE = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Thresholds of the curve."""

GROUPS = tuple[Group, str, Callable[[PictureResult, ObjectResult], bool]]
ROUNDING = 1e-9


def groups(pictures: Sequence[PictureResult]) -> Iterator[GROUPS]:
    """All objects, then by height, then by subset: the group's kind and name, and which objects belong to it."""
    yield "all", "all", lambda _picture, _each: True
    for low, high, name in HEIGHTS:
        yield "height", name, lambda _picture, each, low=low, high=high: low <= each.height < high  # type: ignore[misc]
    for name in sorted({each.subset for each in pictures} - {""}):
        yield "subset", name, lambda picture, _each, name=name: picture.subset == name  # type: ignore[misc]


def sums(
    pictures: Sequence[PictureResult],
    belongs: Callable[[PictureResult, ObjectResult], bool],
    holds: Callable[[ObjectResult], bool],
) -> tuple[Float64, Float64]:
    """For each picture: objects of the group for which `holds`, and all of them, (n,) each."""
    chosen = [[each for each in picture.objects if belongs(picture, each)] for picture in pictures]
    return _numbers(sum(map(holds, each)) for each in chosen), _numbers(map(len, chosen))


def hidden(share: float) -> Callable[[ObjectResult], bool]:
    """Whether at least `share` of an object is covered."""
    return lambda each: each.coverage >= share - ROUNDING


def recall_rows(pictures: Sequence[PictureResult], classes: Iterable[str]) -> Iterator[RecallRow]:
    for class_name in classes:
        for kind, name, member in groups(pictures):
            belongs = of_class(class_name, member)
            part, whole = sums(pictures, belongs, hidden(HIDDEN))
            loose, strict = rate(part, whole), rate(sums(pictures, belongs, hidden(STRICT))[0], whole)
            if loose and strict:
                yield RecallRow(
                    class_name=class_name,
                    group=kind,
                    name=name,
                    objects=int(whole.sum()),
                    pictures=int((whole > 0).sum()),
                    hidden=loose,
                    strict=strict,
                )


def false_rows(pictures: Sequence[PictureResult], classes: Iterable[str]) -> Iterator[FalseRow]:
    for class_name in classes:
        counted = list(counts(pictures, class_name))
        false = _numbers(each.false for _, each in counted)
        true = _numbers(each.true for _, each in counted)
        none = np.array([picture.negative for picture, _ in counted], np.bool_)
        per_picture = rate(false, np.ones_like(false), proportion=False)
        if per_picture:
            yield FalseRow(
                class_name=class_name,
                pictures=len(counted),
                negatives=int(none.sum()),
                precision=rate(true, true + false),
                per_picture=per_picture,
                per_negative=rate(false[none], np.ones_like(false[none]), proportion=False),
            )


def curve(pictures: Sequence[PictureResult], classes: Iterable[str], lowest: float) -> Iterator[CurvePoint]:
    """A point for each threshold of `CURVE` from `lowest` on."""
    for class_name in classes:
        objects = [each for picture in pictures for each in picture.objects if each.class_name == class_name]
        counted = list(counts(pictures, class_name))
        for i, threshold in enumerate(CURVE):
            if threshold < lowest:
                continue
            yield CurvePoint(
                class_name=class_name,
                threshold=threshold,
                hidden=_mean(reaches(each.up_to, threshold) for each in objects),
                strict=_mean(reaches(each.strict_up_to, threshold) for each in objects),
                per_picture=_mean(each.curve[i] for _, each in counted),
                per_negative=_mean(each.curve[i] for picture, each in counted if picture.negative),
            )


def counts(pictures: Iterable[PictureResult], class_name: str) -> Iterator[tuple[PictureResult, CountResult]]:
    """The pictures in which boxes of a class were counted."""
    for picture in pictures:
        for each in picture.counts:
            if each.class_name == class_name:
                yield picture, each


def of_class(
    class_name: str, member: Callable[[PictureResult, ObjectResult], bool]
) -> Callable[[PictureResult, ObjectResult], bool]:
    return lambda picture, each: each.class_name == class_name and member(picture, each)


def reaches(score: float, threshold: float) -> bool:
    """As the service compares them: in float32, so that a score that prints as the threshold is at the threshold."""
    return bool(np.float32(score) >= np.float32(threshold))


def _numbers(values: Iterable[int]) -> Float64:
    return np.array(list(values), np.float64)


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None
