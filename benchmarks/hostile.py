"""Every file of a folder through a service of its own: how each ends, how long it takes, what memory it needs.

`python -m benchmarks.hostile FOLDER [OPTION=VALUE …]`, e.g. `metadata=keep`. Exit status 1 if a file ends in anything
but a picture or a 4xx.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

import httpx
from PIL import Image

from tests.service_process import ServiceProcess

MIB = 1024 * 1024


def main(folder: Path, options: dict[str, str]) -> int:
    files = sorted(each for each in folder.iterdir() if each.is_file() and each.suffix not in (".md", ".json"))
    failed = 0
    print(f"{'file':48s} {'bytes':>9s} {'status':>6s} {'s':>6s} {'peak +MiB':>9s}  end")
    with tempfile.TemporaryDirectory() as place, ServiceProcess(Path(place)) as service:
        for file in files:
            data = file.read_bytes()
            service.reset_peak()
            before = service.usage.memory_info().rss
            started = time.monotonic()
            answer = httpx.post(
                f"{service.url}/v1/anonymize", params=options, files={"image": (file.name, data)}, timeout=300
            )
            spent = time.monotonic() - started
            peak = max(0, service.peak_bytes() - before) / MIB
            end, good = end_of(answer)
            failed += not good
            print(f"{file.name[:48]:48s} {len(data):9d} {answer.status_code:6d} {spent:6.2f} {peak:9.0f}  {end}")
    return failed


def end_of(answer: httpx.Response) -> tuple[str, bool]:
    """How a request ended, in words, and whether that is right."""
    if answer.status_code != httpx.codes.OK:
        problem = answer.json()
        return f"{problem['type'].removeprefix('/problems/')}: {problem['detail'][:60]}", answer.is_client_error
    media = answer.headers["content-type"]
    try:
        with Image.open(io.BytesIO(answer.content)) as image:
            image.load()
            return f"{media} {image.width}×{image.height}, {answer.headers['veil-detections']}", True
    except OSError as error:
        return f"{media} that Pillow cannot read: {error}", False


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1]), dict(each.split("=", 1) for each in sys.argv[2:])) else 0)
