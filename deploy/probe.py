"""The image's health probe: `probe.py /livez` or `/readyz` exits with 0 if the service answers 200, else says why.

It runs every few seconds, so it imports nothing but http.client and speaks to this container's own ports only: the
API's or, where that speaks TLS and may ask for a certificate, the one for operators.
"""

import http.client
import os
import sys

TIMEOUT = 4.0
MAX_REASON = 2000


def main() -> int:
    path = sys.argv[1] if len(sys.argv) > 1 else "/livez"
    secured = os.environ.get("VEIL_TLS__CERTIFICATE") or os.environ.get("VEIL_TLS__CERTIFICATE_FILE")
    name, default = ("VEIL_SERVER__METRICS_PORT", "9090") if secured else ("VEIL_SERVER__PORT", "8080")
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get(name, default)), TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        reason = answer.read(MAX_REASON).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"{path}: {error}\n")
        return 1
    finally:
        connection.close()
    sys.stdout.write(f"{path}: {answer.status} {reason}\n")
    return 0 if answer.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
