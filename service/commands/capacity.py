"""`veil capacity`: what a load would take."""

import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.box import MARKDOWN
from rich.table import Table

from service.commands.console import fail, out
from service.planning import Engine, Needs, Plan, UnitCosts, needs

app = typer.Typer()
COSTS, PLAN = UnitCosts(), Plan()
LOADS = (1_000_000, 10_000_000, 100_000_000)


@app.command()
def capacity(
    panoramas: Annotated[list[int] | None, typer.Argument(help="Panoramas a month; 1, 10 and 100 million.")] = None,
    engine: Annotated[Engine, typer.Option(help="'triton' on GPUs, or 'embedded' on the processor.")] = Engine.TRITON,
    megapixels: Annotated[float, typer.Option(help="Size of a panorama.")] = COSTS.megapixels,
    bytes_per_megapixel: Annotated[float, typer.Option(help="Size of its file; assumed.")] = COSTS.bytes_per_megapixel,
    tiles: Annotated[float, typer.Option(help="Tiles per megapixel; counted.")] = COSTS.tiles_per_megapixel,
    detection: Annotated[
        float, typer.Option(help="Core seconds of all models for a tile, without a GPU; measured.")
    ] = COSTS.detection_per_tile,
    beside: Annotated[
        float, typer.Option(help="Core seconds of everything else per megapixel; measured.")
    ] = COSTS.beside_detection_per_megapixel,
    gflop: Annotated[float, typer.Option(help="Gigaflop of all models for a tile; counted.")] = COSTS.gflop_per_tile,
    gpu_tflops: Annotated[
        float, typer.Option(help="Teraflop a second that a GPU really gets through; assumed.")
    ] = PLAN.gpu_tflops,
    receipt_bytes: Annotated[
        float, typer.Option(help="Bytes of a receipt in PostgreSQL, with indexes; measured.")
    ] = COSTS.receipt_bytes,
    hours: Annotated[float, typer.Option(help="Hours a day in which pictures are worked on.")] = PLAN.hours_a_day,
    utilization: Annotated[
        float, typer.Option(help="Share of the time in which machines may be busy; the rest is for peaks.")
    ] = PLAN.utilization,
    months: Annotated[float, typer.Option(help="Months for which receipts are kept.")] = PLAN.retention_months,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Reckon what a number of panoramas a month takes in cores, GPUs, network and database.

    docs/explanation/capacity.md says where the unit costs come from. Replace them by your own.
    """
    costs = UnitCosts(megapixels, bytes_per_megapixel, tiles, detection, beside, gflop, receipt_bytes)
    plan = Plan(hours, utilization, gpu_tflops, months)
    try:
        found = [needs(each, engine, costs, plan) for each in panoramas or LOADS]
    except ValueError as error:
        fail(str(error), 2)
    if as_json:
        document = {
            "engine": engine,
            "costs": dataclasses.asdict(costs),
            "plan": dataclasses.asdict(plan),
            "needs": [dataclasses.asdict(each) for each in found],
        }
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    table = Table("panoramas a month", *(f"{each.pictures:,}" for each in found), box=MARKDOWN)
    for title, shown in ROWS.items():
        table.add_row(title, *(shown(each) for each in found))
    out.print(table)


ROWS: dict[str, Callable[[Needs], str]] = {
    "panoramas a second": lambda each: f"{each.pictures_a_second:,.2f}",
    "cores": lambda each: f"{each.cores:,}",
    "GPUs (projected)": lambda each: f"{each.gpus:,}",
    "Mbit/s from clients, and to them": lambda each: f"{each.client_megabits:,.0f}",
    "Mbit/s to Triton": lambda each: f"{each.triton_megabits:,.0f}",
    "rows a month": lambda each: f"{each.rows_a_month:,}",
    "GB of database a month": lambda each: f"{each.database_bytes_a_month / 1e9:,.1f}",
    "GB of database kept": lambda each: f"{each.database_bytes_kept / 1e9:,.1f}",
}
