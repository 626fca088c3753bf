"""`service.planning` and `veil capacity`: reckoned by hand, and scaled as the load is."""

import json

import pytest
from typer.testing import CliRunner

from service.cli import main
from service.planning import MODELS, TILE_BYTES, Engine, Plan, UnitCosts, needs

COSTS = UnitCosts(
    megapixels=10,
    bytes_per_megapixel=250_000,
    tiles_per_megapixel=4,
    detection_per_tile=0.5,
    beside_detection_per_megapixel=0.5,
    gflop_per_tile=10,
    receipt_bytes=2000,
)
PLAN = Plan(hours_a_day=12, utilization=0.5, gpu_tflops=1, retention_months=6)
ONE_A_SECOND = 30 * 12 * 3600


def test_one_picture_a_second_on_the_processor_takes_its_core_seconds_twice_over() -> None:
    found = needs(ONE_A_SECOND, Engine.EMBEDDED, COSTS, PLAN)
    assert found.pictures_a_second == 1
    assert found.cores == 50  # 40 tiles × 0.5 s and 10 MP × 0.5 s, half busy
    assert found.gpus == 0
    assert found.triton_megabits == 0
    assert found.client_megabits == 20  # 2.5 MB


def test_on_gpus_the_processor_is_left_with_the_rest() -> None:
    found = needs(10 * ONE_A_SECOND, Engine.TRITON, COSTS, PLAN)
    assert found.cores == 100
    assert found.gpus == 8  # 40 tiles × 10 GFLOP = 0.4 s, ten times, half busy
    assert found.triton_megabits == pytest.approx(10 * 40 * TILE_BYTES * MODELS * 8 / 1e6)


def test_the_database_grows_with_the_pictures() -> None:
    found = needs(1_000_000, Engine.TRITON, COSTS, PLAN)
    assert found.rows_a_month == 1_000_000
    assert found.database_bytes_a_month == 2e9
    assert found.database_bytes_kept == 12e9


def test_what_is_bought_is_never_less_than_one_and_never_too_little() -> None:
    small = needs(1, Engine.TRITON, COSTS, PLAN)
    assert (small.cores, small.gpus) == (1, 1)
    counts = [needs(each, Engine.TRITON, COSTS, PLAN).gpus for each in range(ONE_A_SECOND, 4 * ONE_A_SECOND, 99_991)]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("costs", "plan", "pictures", "named"),
    [
        (COSTS, PLAN, 0, "pictures"),
        (UnitCosts(megapixels=-1), PLAN, 1, "megapixels"),
        (UnitCosts(gflop_per_tile=float("nan")), PLAN, 1, "gflop_per_tile"),
        (COSTS, Plan(utilization=1.1), 1, "utilization"),
        (COSTS, Plan(hours_a_day=25), 1, "hours_a_day"),
    ],
)
def test_figures_that_mean_nothing_are_refused(costs: UnitCosts, plan: Plan, pictures: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        needs(pictures, Engine.TRITON, costs, plan)


def test_the_command_reckons_with_what_it_is_given() -> None:
    given = ["--engine", "embedded", "--megapixels", "10", "--tiles", "4", "--hours", "12"]
    given += ["--detection", "0.5", "--beside", "0.5"]
    done = CliRunner().invoke(main, ["capacity", str(ONE_A_SECOND), "7", *given, "--utilization", "0.5", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["needs"]
    assert [each["pictures"] for each in found] == [ONE_A_SECOND, 7]
    assert found[0]["cores"] == 50


def test_the_command_shows_a_table_and_refuses_nonsense() -> None:
    shown = CliRunner().invoke(main, ["capacity"])
    assert shown.exit_code == 0
    for text in ("1,000,000", "10,000,000", "100,000,000", "GPUs (projected)"):
        assert text in shown.stdout
    wrong = CliRunner().invoke(main, ["capacity", "--utilization", "2"])
    assert wrong.exit_code == 2
    assert "utilization" in wrong.stderr
