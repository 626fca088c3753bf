"""The rows of a report as text, the same on the console and on the page."""

from collections.abc import Iterator

from service.evaluation.bootstrap import Estimate
from service.evaluation.comparison import Change
from service.evaluation.coverage import HIDDEN, STRICT
from service.evaluation.report import Report

Row = tuple[str, ...]

RECALL = ("class", "objects", "number", f"{HIDDEN:.0%} hidden", f"{STRICT:.0%} hidden")
FALSE = ("class", "pictures", "negatives", "precision", "false boxes per picture", "per negative")
CURVE = (
    "class",
    "threshold",
    f"{HIDDEN:.0%} hidden",
    f"{STRICT:.0%} hidden",
    "false boxes per picture",
    "per negative",
)
CHANGES = ("class", "figure", "first", "second", "change", "95 % interval")
NONE = "–"


def setup_lines(report: Report) -> Iterator[Row]:
    setup = report.setup
    sampled = ", ".join(filter(None, (f"each {setup.every}th" if setup.every > 1 else "", *setup.subsets))) or "all"
    yield (
        "set",
        f"{setup.dataset} (annotations {setup.dataset_digest[:16]}), {sampled}: {len(report.pictures)} pictures",
    )
    yield "models", ", ".join(f"{each.label} {each.sha256[:16]}" for each in setup.models)
    yield "thresholds", ", ".join(f"{each.name} {each.threshold:g} (margin {each.margin:g})" for each in setup.classes)
    yield "policy", f"{setup.policy_digest[:16]}, effort {setup.effort}"
    yield "engine", f"{setup.engine}, Veil {setup.veil}"
    yield "work", f"{report.megapixels:g} megapixels in {report.seconds:g} s"
    if report.failures:
        yield "failed", f"{len(report.failures)} pictures, which count in no figure"


def recall(report: Report) -> Iterator[Row]:
    for row in report.recall:
        yield row.class_name, row.name, str(row.objects), with_interval(row.hidden), with_interval(row.strict)


def false(report: Report) -> Iterator[Row]:
    for row in report.false:
        figures = (row.precision, row.per_picture, row.per_negative)
        yield row.class_name, str(row.pictures), str(row.negatives), *map(with_interval, figures)


def curve(report: Report) -> Iterator[Row]:
    for row in report.curve:
        figures = (row.hidden, row.strict, row.per_picture, row.per_negative)
        yield row.class_name, f"{row.threshold:g}", *("–" if each is None else f"{each:.3f}" for each in figures)


def changes(found: list[Change]) -> Iterator[Row]:
    for each in found:
        sign = "" if each.certain else " (may be chance)"
        interval = f"{each.change.low:+.3f} to {each.change.high:+.3f}{sign}"
        yield each.class_name, each.name, f"{each.one:.3f}", f"{each.other:.3f}", f"{each.change.value:+.3f}", interval


def with_interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return NONE
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"
