"""What a load takes: servers, network and database for a number of panoramas a month. Pure arithmetic.

The defaults are measured (`python -m benchmarks.unit_costs`), counted (`python -m benchmarks.limits`) or assumed, as
docs/explanation/capacity.md says of each; all of them are meant to be replaced by figures of one's own.
"""

import math
from dataclasses import asdict, dataclass
from enum import StrEnum

DAYS = 30.0
HOURS = 24
TILE_BYTES = 640 * 640 * 3
MODELS = 2


class Engine(StrEnum):
    EMBEDDED = "embedded"
    TRITON = "triton"


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """What one picture costs; times are seconds of one core."""

    megapixels: float = 75.5
    bytes_per_megapixel: float = 300_000.0
    """Assumed size of a JPEG; as much goes out as came in."""
    tiles_per_megapixel: float = 3.96
    """Counted: `python -m benchmarks.limits`, effort balanced."""
    detection_per_tile: float = 0.067
    """Of all models together, without a GPU."""
    beside_detection_per_megapixel: float = 0.02
    """Decoding, masks, encoding, verification."""
    gflop_per_tile: float = 11.42
    """Of all models together. Counted, as the tiles are."""
    receipt_bytes: float = 3400.0
    """In PostgreSQL, with indexes and ten boxes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the work is spread and what it runs on."""

    hours_a_day: float = 24.0
    utilization: float = 0.6
    """Share of the time in which what is bought may be busy: the rest is for peaks, restarts and growth."""
    gpu_tflops: float = 10.0
    """Assumed: a third of the 30 TFLOP/s that data sheets give for 32-bit floats on a mid-sized GPU."""
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
    for name, value in {**asdict(costs), **asdict(plan), "pictures": pictures}.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be above 0")
    if plan.utilization > 1:
        raise ValueError("utilization is at most 1")
    if plan.hours_a_day > HOURS:
        raise ValueError(f"hours_a_day is at most {HOURS}")
    on_triton = engine is Engine.TRITON
    rate = pictures / (DAYS * plan.hours_a_day * 3600)
    tiles = costs.megapixels * costs.tiles_per_megapixel
    beside = costs.megapixels * costs.beside_detection_per_megapixel
    core_seconds = beside if on_triton else beside + tiles * costs.detection_per_tile
    gpu_seconds = tiles * costs.gflop_per_tile / (plan.gpu_tflops * 1000)
    stored = pictures * costs.receipt_bytes
    return Needs(
        pictures=pictures,
        pictures_a_second=rate,
        cores=_bought(rate * core_seconds, plan.utilization),
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
