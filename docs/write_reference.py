"""Writes the generated pages of `docs/reference/` from the code: `make docs`. A test compares them with the code."""

from pathlib import Path

import typer
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from typer.main import get_command

from docs.metadata_page import metadata_page
from service.api.problems import KINDS
from service.cli import main as command_line
from service.observability.metrics import Metrics
from service.settings import Group, Settings, variable

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `make docs` from the code; do not edit. -->\n"


def settings_page() -> str:
    lines = [
        "# Settings",
        NOTE,
        "Each setting is an environment variable. Any of them may be given as `<NAME>_FILE=/path`: its value is then",
        "the file's content, which keeps secrets out of the environment. A variable that starts with `VEIL_` and names",
        "no setting stops the start.",
    ]
    for group, info in Settings.model_fields.items():
        model = info.annotation
        assert isinstance(model, type)
        assert issubclass(model, Group)
        lines += ["", f"## {group}", ""]
        if model.__doc__ and model.__doc__ != Group.__doc__:
            lines += [model.__doc__.strip(), ""]
        lines += ["| variable | default | meaning |", "|---|---|---|"]
        for name, field in model.model_fields.items():
            default = field.get_default(call_default_factory=True)
            if isinstance(default, SecretStr):
                default = default.get_secret_value()
            shown = "unset" if default is None else f"`{default}`"
            lines.append(f"| `{variable(group, name)}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def problems_page() -> str:
    lines = [
        "# Problems",
        NOTE,
        "Every error is an RFC 9457 problem document (`application/problem+json`). `type` is a relative URL that the",
        "service itself answers with this text.",
        "",
        "| slug | status | what happened | what to do |",
        "|---|---|---|---|",
    ]
    for kind, row in sorted(KINDS.items(), key=lambda item: (item[1].status, item[0].slug)):
        lines.append(f"| `{kind.slug}` | {row.status} | {kind.title}. | {row.remedy} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    group = get_command(command_line)
    lines = ["# Command line", NOTE]
    walk(group, "veil", lines)
    return "\n".join(lines) + "\n"


def walk(command: typer.core.TyperGroup | typer.core.TyperCommand, path: str, lines: list[str]) -> None:
    """Adds `command` and, if it is a group, everything below it."""
    children = getattr(command, "commands", None)
    lines += ["", f"## `{path}`", "", (command.help or "").strip()]
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        name = ", ".join(parameter.opts) if parameter.param_type_name == "option" else str(parameter.name).upper()
        rows.append(f"| `{name}` | {getattr(parameter, 'help', '') or ''} |")
    if rows:
        lines += ["", "| argument or option | meaning |", "|---|---|", *rows]
    for name in sorted(children or ()):
        walk(children[name], f"{path} {name}", lines)


def metrics_page() -> str:
    lines = [
        "# Metrics",
        NOTE,
        "Served for Prometheus on a port of their own. Counters end in `_total`, histograms in `_bucket`, `_sum` and",
        "`_count`. Besides these there are Prometheus's usual `process_` metrics of the process.",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    registry = Metrics("", "").registry
    for collector in registry._collector_to_names:
        if not isinstance(collector, MetricWrapperBase):
            continue
        [family] = collector.describe()
        end = {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = ", ".join(f"`{name}`" for name in collector._labelnames)
        lines.append(f"| `{family.name}{end}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "problems.md": problems_page,
    "commands.md": commands_page,
    "metadata.md": lambda: metadata_page(NOTE),
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
