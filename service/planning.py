"""What a load takes: servers, network and database for a number of panoramas a month. Pure arithmetic.

The defaults are measured (`python -m benchmarks.unit_costs`, docs/explanation/capacity.md) or, where they say so,
assumptions to be replaced by figures of one's own.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

DAYS = 30.0
TILE_BYTES = 640 * 640 * 3
MODELS = 2


class Engine(StrEnum):
    EMBEDDED = "embedded"
    TRITON = "triton"


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """What one picture costs; times are seconds of one core."""

    megapixels: float = 75.0
    bytes_per_megapixel: float = 300_000.0
    """Assumed size of a JPEG; what comes in goes out again."""
    detection_per_megapixel: float = 1.0
    beside_detection_per_megapixel: float = 0.05
    """Decoding, masks, encoding, verification."""
    tiles_per_megapixel: float = 10.0
    gflop_per_tile: float = 11.43
    """Of all models together, counted in their graphs."""
    receipt_bytes: float = 3500.0
    """In PostgreSQL, with indexes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the work is spread and what it runs on."""

    hours_a_day: float = 24.0
    utilization: float = 0.6
    """Share of the time in which what is bought may be busy: the rest is for peaks, restarts and growth."""
    gpu_tflops: float = 10.0
    """Assumed: what a GPU really gets through, in 32-bit floats, of these models; a fraction of its data sheet."""
    retention_months: float = 12.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What the load takes. Rates are means over the working hours; what is bought is rounded up."""

    pictures: int
    pictures_a_second: float
    cores: int
    gpus: int
    client_megabits: float
    """In, and the same out."""
    triton_megabits: float
    rows_a_month: int
    database_bytes_a_month: float
    database_bytes_kept: float


def needs(pictures: int, engine: Engine, costs: UnitCosts, plan: Plan) -> Needs:
    """What `pictures` a month take. Raises ValueError unless every figure is positive and utilization at most 1."""
    for name, value in {**_figures(costs), **_figures(plan), "pictures": pictures}.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be above 0")
    if plan.utilization > 1 or plan.hours_a_day > 24:  # noqa: PLR2004 - hours of a day
        raise ValueError("utilization is at most 1, and a day has 24 hours")
    rate = pictures / (DAYS * plan.hours_a_day * 3600)
    core_seconds = costs.beside_detection_per_megapixel
    if engine is Engine.EMBEDDED:
        core_seconds += costs.detection_per_megapixel
    tiles = costs.megapixels * costs.tiles_per_megapixel
    gpu_seconds = tiles * costs.gflop_per_tile / (plan.gpu_tflops * 1000)
    on_triton = engine is Engine.TRITON
    stored = pictures * costs.receipt_bytes
    return Needs(
        pictures=pictures,
        pictures_a_second=rate,
        cores=_bought(rate * costs.megapixels * core_seconds, plan.utilization),
        gpus=_bought(rate * gpu_seconds, plan.utilization) if on_triton else 0,
        client_megabits=rate * costs.megapixels * costs.bytes_per_megapixel * 8 / 1e6,
        # Each model gets every tile.
        triton_megabits=rate * tiles * TILE_BYTES * MODELS * 8 / 1e6 if on_triton else 0.0,
        rows_a_month=pictures,
        database_bytes_a_month=stored,
        database_bytes_kept=stored * plan.retention_months,
    )


def _bought(busy: float, utilization: float) -> int:
    return max(1, math.ceil(round(busy / utilization, 9)))


def _figures(costs: UnitCosts | Plan) -> dict[str, float]:
    return {name: getattr(costs, name) for name in costs.__dataclass_fields__}
