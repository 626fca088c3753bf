"""Run as a process of its own: hostile files through the pipeline, in bounded memory, each in bounded time.

Prints each file's name before it is tried, so that a crash has a name, and one JSON line for each that ends in neither
a picture nor a refusal of the upload. Arguments: mutations of each seed, first seed.
"""

import asyncio
import faulthandler
import io
import json
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from PIL import Image

from service.anonymizer import Anonymizer
from service.detection.tiled import TiledDetection
from service.errors import InvalidRequest, UploadRejected
from service.imaging import turbojpeg
from service.imaging.source import SourceLimits
from service.policy import MetadataMode, OutputFormat, Policy, Shape
from service.records.draft import Draft
from service.records.receipt import Receipt
from tests.hostile.crafted import crafted
from tests.hostile.mutations import mutated
from tests.hostile.seeds import seeds
from tests.unit.api.rig import KnownDetector, spec_of

MAX_PIXELS = 4_000_000
SECONDS = 5.0
"""Of CPU time for one file of at most 4 megapixels; none needs a tenth of it."""

MEMORY = 768 * 1024 * 1024
"""Address space beyond what the process has once everything is imported."""

HANGS = 60.0

PICTURE, REFUSED = "picture", "refused"


class NoStore:
    async def add(self, receipt: Receipt) -> None: ...


def files(rounds: int, first: int) -> Iterator[tuple[str, bytes]]:
    for each in crafted():
        yield each.name, each.data
    valid = seeds()
    others = tuple(valid.values())
    for index, (name, data) in enumerate(valid.items()):
        yield name, data
        for i in range(rounds):
            seed = (first + i) * 1000 + index
            yield f"{name} #{seed}", mutated(data, seed, others)


def policies() -> tuple[Policy, ...]:
    """As it is; as Panoramax has it; and into a format that everything is decoded for."""
    classes = spec_of("face", Shape.ELLIPSE).class_policies()
    return (
        Policy(classes=classes),
        Policy(classes=classes, metadata=MetadataMode.KEEP, upright=True, format=OutputFormat.JPEG),
        Policy(classes=classes, metadata=MetadataMode.GEO, format=OutputFormat.PNG),
    )


async def end_of(anonymizer: Anonymizer, data: bytes, policy: Policy) -> str:
    """PICTURE, REFUSED, or what is wrong."""
    started = time.process_time()
    try:
        done = await anonymizer.anonymize(data, policy, Draft())
    except (UploadRejected, InvalidRequest):
        done = None
    except Exception as error:
        return f"{type(error).__name__}: {getattr(error, 'cause', None) or error}"
    if (spent := time.process_time() - started) > SECONDS:
        return f"took {spent:.1f} s of CPU time"
    if done is None:
        return REFUSED
    return picture_problem(done.data, (done.source.width, done.source.height)) or PICTURE


def picture_problem(data: bytes, upright: tuple[int, int]) -> str | None:
    """What another reader has to say against the answer."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            turned = image.getexif().get(0x0112, 1) > 4
            size = image.size[::-1] if turned and image.format == "JPEG" else image.size
    except Exception as error:
        return f"Pillow cannot read the answer: {error}"
    return None if size == upright else f"{size} instead of {upright}"


async def main(rounds: int, first: int) -> None:
    with ThreadPoolExecutor(1) as cpu:
        detector = KnownDetector(spec_of("face", Shape.ELLIPSE))
        anonymizer = Anonymizer(
            detection=TiledDetection([detector], engine="onnxruntime", overlap=96, concurrency=1, cpu=cpu),
            receipts=NoStore(),
            cpu=cpu,
            limits=SourceLimits(MAX_PIXELS, 10_000),
            secret=b"secret",
            turbojpeg=turbojpeg.load(),
        )
        await end_of(anonymizer, seeds()["jpeg"], policies()[0])
        limit = psutil.Process().memory_info().vms + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        ends: Counter[str] = Counter()
        for number, (name, data) in enumerate(files(rounds, first)):
            say(name)
            faulthandler.dump_traceback_later(HANGS, exit=True)
            end = await end_of(anonymizer, data, policies()[number % 3])
            faulthandler.cancel_dump_traceback_later()
            if end not in (PICTURE, REFUSED):
                say(json.dumps({"file": name, "bytes": len(data), "policy": number % 3, "wrong": end}))
            ends[end] += 1
        peak = peak_mib()
        say(json.dumps({"pictures": ends[PICTURE], "refused": ends[REFUSED], "peak_mib": peak}))


def peak_mib() -> int:
    """Of this program alone: getrusage counts what the process was before it became this program."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
