"""A report as one HTML page: no script, no style sheet from elsewhere, readable on paper."""

import html
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from service import __version__
from service.records.receipt import Receipt
from service.reporting.summary import Report

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #111; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem; break-after: avoid }
table { border-collapse: collapse; width: 100%; font-size: .85rem } thead { display: table-header-group }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid #bbb }
tr { break-inside: avoid } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
code { font-size: .8rem; overflow-wrap: anywhere }
@media print { body { margin: 0; max-width: none; font-size: 11px } @page { size: A4; margin: 18mm } }
"""
STORED = (
    "The pictures themselves are not stored, neither before nor after. Of each request a receipt is stored: when it "
    "came and was finished, the id of the API key, the sender's own reference, format and size, the SHA-256 of the "
    "picture that left, the options, the detectors, how many objects were hidden and, while they are kept, where in "
    "the picture."
)
BOUNDS = (
    "Recall is the share of objects that were hidden. With 95 % confidence it is at least the bound, if objects of "
    "one picture are independent; the bound for pictures without a miss needs nothing but the random draw (one-sided, "
    "exact, Clopper and Pearson)."
)


def opening(report: Report) -> Iterator[str]:
    """The page up to the rows of the receipts."""
    summary, scope = report.summary, report.scope
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>What Veil processed</title><style>{STYLE}</style><h1>What Veil processed</h1>"
    about = [("Report made", _moment(report.generated_at)), ("By", f"Veil {__version__}")]
    if scope.source_ref is not None:
        about.insert(0, ("Reference", scope.source_ref))
    if scope.since or scope.until:
        about.insert(0, ("Period", f"{_moment(scope.since) or 'the beginning'} to {_moment(scope.until) or 'now'}"))
    about.append(("First and last request", f"{_moment(summary.first) or '–'} / {_moment(summary.last) or '–'}"))
    yield _table(("", ""), about)
    yield "<h2>What was done</h2>"
    counts = [("Requests", summary.requests), ("Pictures that left anonymized", summary.pictures)]
    counts += [(f"Requests that ended as '{name}'", count) for name, count in sorted(summary.outcomes.items())]
    counts += [(f"… because of '{name}'", count) for name, count in sorted(summary.problems.items())]
    counts += [(f"Objects hidden or found: {name}", count) for name, count in sorted(summary.objects.items())]
    counts += [("Signed receipts", summary.signed)]
    yield _table(("", "number"), counts)
    yield "<h2>By whom</h2>"
    yield _table(("key", "requests"), [(report.caller(id), n) for id, n in summary.callers.most_common()])
    yield "<h2>How</h2>"
    models = [(label, digest, n) for (label, digest), n in sorted(summary.models.items())]
    yield _table(("detector", "SHA-256", "requests"), models)
    yield _table(("policy (digest)", "requests"), summary.policies.most_common())
    yield f"<h2>What is stored, and for how long</h2><p>{html.escape(STORED)}</p>"
    kept = report.retention
    yield _table(
        ("", "kept for"),
        [
            ("Receipts", _days(kept.receipts_days)),
            ("Positions of what was hidden", _days(kept.detections_days or kept.receipts_days)),
            ("Audit", _days(kept.audit_days)),
        ],
    )
    yield from _recalls(report)
    yield "<h2>Receipts</h2>"


def rows(receipts: Sequence[Receipt], report: Report) -> str:
    """The table of `receipts`, which are some or all of them."""
    shown = len(receipts)
    note = "" if shown == report.summary.requests else f"<p>The newest {shown} of {report.summary.requests}.</p>"
    head = ("received", "receipt", "sent by", "outcome", "picture", "found", "SHA-256 of what left")
    return note + _table(head, [_row(each, report) for each in receipts])


CLOSING = "</html>\n"


def _row(receipt: Receipt, report: Report) -> tuple[str, ...]:
    size = f"{receipt.input.width} × {receipt.input.height}" if receipt.input.width else ""
    return (
        _moment(receipt.received_at),
        str(receipt.id),
        report.caller(receipt.caller),
        receipt.problem or receipt.outcome.value,
        f"{receipt.input.format or ''} {size}".strip(),
        ", ".join(f"{name}: {count}" for name, count in sorted(receipt.counts.items())),
        receipt.output.sha256 or "",
    )


def _recalls(report: Report) -> Iterator[str]:
    if not report.recalls:
        return
    yield f"<h2>Quality control</h2><p>{html.escape(BOUNDS)}</p>"
    lines: list[tuple[Any, ...]] = []
    for sample, reviewed, classes in report.recalls:
        period = f"{_moment(sample.since)} to {_moment(sample.until)}"
        drawn = f"{reviewed} of {len(sample.receipts)} drawn from {sample.population}"
        for each in classes:
            lines.append(
                (
                    f"{period} ({sample.id})",
                    drawn,
                    each.class_name,
                    f"{each.seen - each.missed} of {each.seen}",
                    _share(each.recall),
                    f"≥ {_share(each.recall_bound)}",
                    f"≥ {_share(each.clean_bound)}",
                )
            )
        if not classes:
            lines.append((f"{period} ({sample.id})", drawn, "no verdicts yet", "", "", "", ""))
    head = ("sample", "reviewed", "class", "hidden", "recall", "bound", "pictures without a miss")
    yield _table(head, lines)


def _table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    def cell(tag: str, value: Any) -> str:
        number = ' class="n"' if isinstance(value, int) else ""
        text = html.escape(str(value))
        long = tag == "td" and len(text) > 30 and " " not in text  # noqa: PLR2004 - a digest or an id
        return f"<{tag}{number}>{f'<code>{text}</code>' if long else text}</{tag}>"

    body = "".join(f"<tr>{''.join(cell('td', value) for value in line)}</tr>\n" for line in lines)
    if not body:
        return "<p>None.</p>"
    top = f"<thead><tr>{''.join(cell('th', name) for name in head)}</tr></thead>" if any(head) else ""
    return f"<table>{top}<tbody>\n{body}</tbody></table>"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _days(days: int | None) -> str:
    return "no limit" if days is None else f"{days} days"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"
