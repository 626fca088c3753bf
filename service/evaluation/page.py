"""A report as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from service.evaluation import wording
from service.evaluation.misses import Miss
from service.evaluation.report import CurvePoint, Report

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2430 }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border-bottom: 1px solid #d5dbe3; padding: .25rem .75rem; text-align: left }
figure { display: inline-block; margin: .5rem; width: 240px; vertical-align: top; font-size: 13px }
svg { display: block; margin: 1rem 0 }
"""

WIDTH, HEIGHT, LEFT, BOTTOM = 560, 300, 50, 40


def page(report: Report, misses: Sequence[Miss]) -> str:
    """The whole page. `misses` may be empty, if no pictures are wanted."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8"><title>Veil: what is hidden</title>',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">",
        f"<style>{STYLE}</style>",
        "<h1>What is hidden</h1>",
        _table(("", ""), wording.setup_lines(report)),
        "<h2>Recall</h2>",
        "<p>Coverage is the share of the annotated box under the fully hiding part of the mask. In brackets the 95 % "
        "interval of the bootstrap over pictures.</p>",
        _table(wording.RECALL, wording.recall(report)),
        "<h2>False boxes</h2>",
        "<p>Counted only in pictures in which every object of the class is annotated.</p>",
        _table(wording.FALSE, wording.false(report)),
        "<h2>Other thresholds</h2>",
        *(_chart(each.name, report.curve) for each in report.setup.classes),
        _table(wording.CURVE, wording.curve(report)),
    ]
    if misses:
        parts += ["<h2>Worst misses</h2>", "<p><b>These pictures show people and plates unobscured.</b> Red is the "]
        parts += ["annotated box, blue what the mask hides.</p>", *map(_figure, misses)]
    if report.failures:
        rows = ((each.id, each.problem) for each in report.failures)
        parts += ["<h2>Failed pictures</h2>", _table(("id", "problem"), rows)]
    return "\n".join(parts) + "\n"


def _table(head: wording.Row, rows: Iterable[wording.Row]) -> str:
    def line(row: wording.Row, cell: str) -> str:
        return "<tr>" + "".join(f"<{cell}>{escape(each)}</{cell}>" for each in row) + "</tr>"

    heading = [line(head, "th")] if any(head) else []
    return "\n".join(["<table>", *heading, *(line(row, "td") for row in rows), "</table>"])


def _figure(miss: Miss) -> str:
    data = base64.b64encode(miss.jpeg).decode("ascii")
    each = miss.object
    said = f"{each.class_name}, {each.height:.0f} px high, {each.coverage:.0%} covered; picture {miss.picture}"
    subset = f" ({miss.subset})" if miss.subset else ""
    caption = f"<figcaption>{escape(said + subset)}</figcaption>"
    return f'<figure><img alt="" src="data:image/jpeg;base64,{data}">{caption}</figure>'


def _chart(class_name: str, points: Sequence[CurvePoint]) -> str:
    """Recall over false boxes per picture, a point for each threshold; nothing where false boxes were not counted."""
    drawn = [
        (each.per_picture, each.hidden, each.threshold)
        for each in points
        if each.class_name == class_name and each.per_picture is not None and each.hidden is not None
    ]
    if not drawn:
        return ""
    most = max(false for false, _, _ in drawn) or 1.0
    least = min(hidden for _, hidden, _ in drawn)
    span = (1 - least) or 1.0

    def at(false: float, hidden: float) -> tuple[float, float]:
        x = LEFT + false / most * (WIDTH - LEFT - 20)
        return x, 10 + (1 - hidden) / span * (HEIGHT - BOTTOM - 10)

    places = [(*at(false, hidden), threshold) for false, hidden, threshold in drawn]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/><text x="{x + 6:.1f}" y="{y + 14:.1f}" font-size="10">{t:g}</text>'
        for x, y, t in places
    )
    foot = HEIGHT - BOTTOM
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(class_name)}: recall over false boxes">'
        f'<path d="M{LEFT} 10V{foot}H{WIDTH - 20}" fill="none" stroke="#8894a5"/>'
        f'<polyline points="{line}" fill="none" stroke="#2563a8"/>{dots}'
        f'<text x="2" y="18" font-size="11">1.000</text><text x="2" y="{foot}" font-size="11">{least:.3f}</text>'
        f'<text x="{LEFT}" y="{foot + 16}" font-size="11">0</text>'
        f'<text x="{WIDTH - 60}" y="{foot + 16}" font-size="11">{most:.2f}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 6}" font-size="12">{escape(class_name)}: hidden, over false boxes per picture; '
        "each point a threshold</text></svg>"
    )
