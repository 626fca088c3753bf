"""What a run did, for people (HTML) and for programs (JSON): settings, models, each picture, failures by reason."""

import html
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service import __version__
from service.bulk.journal import Line

SLOWEST = 20
MOST_LISTED = 1000
"""Failed pictures that the page lists; the JSON has all."""


def write(folder: Path, facts: dict[str, Any], lines: Iterable[Line], stopped: str, began: datetime) -> None:
    """Writes `report.json` and `report.html` into `folder`."""
    document = of(facts, list(lines), stopped, began)
    for name, text in (
        ("report.json", json.dumps(document, indent=1, ensure_ascii=False)),
        ("report.html", page(document)),
    ):
        partial = folder / f".{name}.part"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)


def of(facts: dict[str, Any], lines: list[Line], stopped: str, began: datetime) -> dict[str, Any]:
    """The report as JSON types."""
    made = [line for line in lines if line.made]
    failed = [line for line in lines if not line.made]
    counts: Counter[str] = Counter()
    for line in made:
        counts.update(line.counts)
    return {
        "veil": __version__,
        "began": began.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "stopped": stopped or None,
        "settings": facts,
        "pictures": len(lines),
        "anonymized": len(made),
        "failed": len(failed),
        "failures": dict(Counter(line.problem for line in failed).most_common()),
        "hidden": dict(sorted(counts.items())),
        "bytes_in": sum(line.size for line in lines),
        "bytes_out": sum(line.bytes or 0 for line in made),
        "slowest": [
            {"path": line.path, "seconds": line.seconds}
            for line in sorted(lines, key=lambda line: -line.seconds)[:SLOWEST]
        ],
        "results": [
            {
                "path": line.path,
                "target": line.target if line.made else None,
                "outcome": "anonymized" if line.made else "failed",
                "problem": line.problem or None,
                "detail": line.detail or None,
                "receipt": line.receipt,
                "sha256": line.sha256,
                "seconds": line.seconds,
                "counts": line.counts,
            }
            for line in lines
        ],
    }


def page(report: dict[str, Any]) -> str:
    """The report as a page that needs nothing beside itself."""
    failed = [each for each in report["results"] if each["outcome"] == "failed"]
    more = len(failed) - MOST_LISTED
    summary = [
        ("Pictures", f"{report['pictures']:,}"),
        ("Anonymized", f"{report['anonymized']:,}"),
        ("Failed, not in the output", f"{report['failed']:,}"),
        *((f"Hidden: {name}", f"{count:,}") for name, count in report["hidden"].items()),
        ("Read", f"{report['bytes_in'] / 1e6:,.1f} MB"),
        ("Written", f"{report['bytes_out'] / 1e6:,.1f} MB"),
        ("Began", report["began"]),
        ("Ended", report["ended"]),
        *([("Stopped early", report["stopped"])] if report["stopped"] else []),
        *((name, json.dumps(value, ensure_ascii=False)) for name, value in report["settings"].items()),
        ("Veil", report["veil"]),
    ]
    sections = [
        _table("Summary", (), summary),
        _table("Failures by reason", ("reason", "pictures"), report["failures"].items()),
        _table(
            "Failed pictures" + (f" (the first {MOST_LISTED}; {more} more in report.json)" if more > 0 else ""),
            ("picture", "reason", "detail", "receipt"),
            [(e["path"], e["problem"], e["detail"], e["receipt"] or "") for e in failed[:MOST_LISTED]],
        ),
        _table("Slowest pictures", ("picture", "seconds"), [(e["path"], e["seconds"]) for e in report["slowest"]]),
    ]
    return PAGE.replace("SECTIONS", "\n".join(sections))


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    if not body:
        return ""
    heads = f"<thead><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr></thead>" if head else ""
    return f"<section><h2>{html.escape(title)}</h2><table>{heads}<tbody>{body}</tbody></table></section>"


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Veil: report of a run</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884;
  overflow-wrap: anywhere }
</style></head><body><h1>Report of a run</h1>
SECTIONS
</body></html>
"""
