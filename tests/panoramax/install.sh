#!/usr/bin/env bash
# Installs Panoramax's own server (geovisio) into .cache/panoramax for the tests; does nothing if it is there.
# An environment of its own: its pins are not the service's.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=.venv/bin/python
TARGET=.cache/panoramax
LOCK=requirements/panoramax-test.txt

[ -x "$PYTHON" ] || { echo "tests/panoramax/install.sh: there is no environment yet; run 'make test'" >&2; exit 1; }
cmp -s "$LOCK" "$TARGET/installed.txt" && exit 0
echo "installing Panoramax's client for the tests (320 MB, half a minute)"
rm -rf "$TARGET"
"$PYTHON" -m venv "$TARGET"
install() { "$TARGET/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes "$@"; }
# One of its dependencies comes as source only: what builds it is pinned too, instead of fetched by pip on the way.
install --only-binary :all: -r requirements/backend.txt
install --no-build-isolation -r "$LOCK"
cp "$LOCK" "$TARGET/installed.txt"
