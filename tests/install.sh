#!/usr/bin/env bash
# Fetches what tests need beside the Python environment, side by side: most of it is waiting for downloads.
# Without tritonserver and the tools of the first line tests cannot run; without the rest some are skipped.
set -uo pipefail
cd "$(dirname "$0")/.."

tools() {
    bash requirements/tools.sh panoramax s3 helm || return
    bash requirements/tools.sh recognizer supply-chain || echo "tests/install.sh: tests of these tools are skipped" >&2
}

tools &
tools=$!
sh tests/install-debian.sh
bash tests/browser/install.sh || echo "tests/install.sh: tests of barriers in pages are skipped" >&2
# After Debian's packages, because it asks apt too.
bash tests/triton/install.sh
triton=$?
wait "$tools" && exit "$triton"
