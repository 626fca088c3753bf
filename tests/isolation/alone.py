"""Run as a process of its own, inside a namespace without a route out: starts the service and sends it a picture.

Prints what came of it as JSON. Arguments: a folder for the service, then its environment as NAME=VALUE.
"""

import errno
import json
import socket
import sys
from pathlib import Path

import httpx

from benchmarks.load import picture
from tests.service_process import ServiceProcess


def unreachable() -> str:
    """How a connection to an address out there ends (TEST-NET-1, RFC 5737)."""
    with socket.socket() as out:
        out.settimeout(5)
        try:
            out.connect(("192.0.2.1", 443))
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "connected"


def main(folder: Path, environ: dict[str, str]) -> None:
    sent = picture(640, 480, "JPEG")
    with ServiceProcess(folder, environ) as service:
        doctor = service.run("doctor")
        answer = httpx.post(
            f"{service.url}/v1/anonymize", content=sent.content, headers={"Content-Type": sent.media}, timeout=60
        )
        docs = httpx.get(f"{service.url}/docs").text
        found = {
            "interfaces": [name for _, name in socket.if_nameindex()],
            "out": unreachable(),
            "status": answer.status_code,
            "hidden": answer.status_code == httpx.codes.OK and sent.hidden_in(answer.content),
            "doctor": doctor.returncode,
            "docs_load": [
                each for each in ("http://", "https://") if f'src="{each}' in docs or f'href="{each}' in docs
            ],
            "stopped": service.stop(),
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(each.split("=", 1) for each in sys.argv[2:]))
