"""The tables of docs/explanation/capacity.md are what the commands above them print."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import main
from service.planning import Plan, UnitCosts

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "explanation" / "capacity.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```sh\nveil (capacity[^\n]*)\n```\n\n((?:\|[^\n]*\n)+)", PAGE)


def test_there_are_tables_to_compare() -> None:
    assert len(SHOWN) == 2


@pytest.mark.parametrize(("command", "table"), SHOWN)
def test_a_table_is_what_its_command_prints(command: str, table: str) -> None:
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 0, done.output
    printed = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    assert table.splitlines() == printed


def test_the_defaults_are_the_figures_that_the_page_explains() -> None:
    costs, plan = UnitCosts(), Plan()
    for text in (
        f"({costs.megapixels:g} megapixels)",
        f"{costs.tiles_per_megapixel:g} per megapixel",
        f"{costs.gflop_per_tile:g} GFLOP per tile",
        f"{costs.detection_per_tile:g} core seconds per tile",
        f"{costs.beside_detection_per_megapixel:g} core seconds per megapixel",
        f"{plan.gpu_tflops:g} TFLOP/s",
        f"{costs.bytes_per_megapixel / 1000:g} kB per megapixel",
        f"{costs.receipt_bytes / 1000:g} kB in PostgreSQL",
    ):
        assert text in PAGE
