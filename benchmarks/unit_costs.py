"""What one picture costs, for `veil capacity`: `python -m benchmarks.unit_costs`.

Processor time is that of the service's process (user and system), so other work on the machine disturbs it less than a
clock on the wall. Bytes of a receipt are those of a real PostgreSQL, with indexes, for receipts of a real request whose
boxes are varied. Tiles and operations are counted by `benchmarks.limits`.
"""

import argparse
import io
import json
import random
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
from PIL import Image
from psycopg.types.json import Jsonb
from skimage import data
from uuid_utils.compat import uuid7

from tests.postgres.server import PostgresProcess
from tests.service_process import ServiceProcess

RECEIPTS = 20_000
BATCH = 1000


def picture(width: int, height: int) -> bytes:
    """A JPEG full of the same photograph: every part has something to look at."""
    tile = data.astronaut()
    repeated = np.tile(tile, (-(-height // len(tile)), -(-width // len(tile)), 1))[:height, :width]
    buffer = io.BytesIO()
    Image.fromarray(repeated).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def cost(service: ServiceProcess, body: bytes, megapixels: float, **options: str) -> dict[str, Any]:
    """Of one request, the second of its kind: the first one warms up."""
    for _ in range(2):
        before = service.usage.cpu_times()
        answer = httpx.post(
            f"{service.url}/v1/anonymize",
            content=body,
            headers={"Content-Type": "image/jpeg"},
            params=options,
            timeout=600,
        )
        after = service.usage.cpu_times()
        answer.raise_for_status()
    receipt = httpx.get(f"{service.url}/v1/receipts/{answer.headers['veil-receipt']}", timeout=30).json()
    stages = receipt["timings_ms"]
    beside = sum(spent for name, spent in stages.items() if name not in {"detect", "queue", "upload"}) / 1000
    spent = after.user + after.system - before.user - before.system
    return {
        "options": options,
        "megapixels": round(megapixels, 2),
        "tiles": receipt["tiles"],
        "core_seconds": round(spent, 2),
        "beside_detection_seconds_per_megapixel": round(beside / megapixels, 4),
        "detection_core_seconds_per_tile": round((spent - beside) / receipt["tiles"], 4),
        "objects": sum(receipt["counts"].values()),
        "stages_ms": stages,
    }


def receipt_bytes(url: str, boxes: int) -> dict[str, float]:
    """Bytes of a receipt with `boxes` detections, over 20,000 copies of the newest one of a real request."""
    generator = random.Random(7)
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute("SELECT * FROM receipts WHERE outcome = 'ok' ORDER BY received_at DESC LIMIT 1")
        names = [each.name for each in cursor.description or ()]
        row = dict(zip(names, cursor.fetchone() or (), strict=True))
        connection.execute("CREATE TABLE measured (LIKE receipts INCLUDING ALL)")
        model = row["detections"][0]
        statement = f"INSERT INTO measured ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"  # type: ignore[var-annotated]
        for _ in range(RECEIPTS // BATCH):
            rows = []
            for _ in range(BATCH):
                row["id"] = uuid7()
                row["received_at"] += timedelta(seconds=1)
                row["detections"] = [varied(model, generator) for _ in range(boxes)]
                rows.append([Jsonb(value) if isinstance(value, dict | list) else value for value in row.values()])
            with connection.cursor() as each:
                each.executemany(statement, rows)  # type: ignore[arg-type]
        connection.execute("VACUUM ANALYZE measured")
        total, table = connection.execute(
            "SELECT pg_total_relation_size('measured'), pg_table_size('measured')"
        ).fetchone() or (0, 0)
        connection.execute("DROP TABLE measured")
    return {"boxes": boxes, "bytes": round(total / RECEIPTS), "of_them_indexes": round((total - table) / RECEIPTS)}


def varied(detection: dict[str, Any], generator: random.Random) -> dict[str, Any]:
    x, y = generator.uniform(0, 12_000), generator.uniform(0, 6_000)
    box = [x, y, x + generator.uniform(8, 300), y + generator.uniform(8, 300)]
    changed = {"score": generator.uniform(0.2, 1), "box": box}
    assert changed.keys() <= detection.keys()
    return {**detection, **changed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[4096, 8192], help="of the panoramas, in pixels")
    parser.add_argument("--no-pictures", action="store_true", help="only receipts")
    arguments = parser.parse_args()
    with PostgresProcess() as server, tempfile.TemporaryDirectory() as folder:
        url = server.create_database("costs")
        with ServiceProcess(Path(folder), {"VEIL_DATABASE__URL": url, "VEIL_ADMISSION__WORKERS": "1"}) as service:
            cost(service, picture(640, 480), 0.31)
            for width in [] if arguments.no_pictures else arguments.widths:
                body = picture(width, width // 2)
                megapixels = width * (width // 2) / 1e6
                for projection in ("planar", "equirectangular"):
                    print(json.dumps(cost(service, body, megapixels, projection=projection)), flush=True)
        for boxes in (0, 10, 30):
            print(json.dumps(receipt_bytes(url, boxes)), flush=True)


if __name__ == "__main__":
    main()
