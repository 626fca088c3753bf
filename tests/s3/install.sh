#!/usr/bin/env bash
# Installs an S3-compatible server (moto's) into .cache/s3 for the tests; does nothing if it is there.
# An environment of its own: its pins are not the service's.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=.venv/bin/python
TARGET=.cache/s3
LOCK=requirements/s3-test.txt

[ -x "$PYTHON" ] || { echo "tests/s3/install.sh: there is no environment yet; run 'make test'" >&2; exit 1; }
cmp -s "$LOCK" "$TARGET/installed.txt" && exit 0
echo "installing an S3-compatible server for the tests"
rm -rf "$TARGET"
"$PYTHON" -m venv "$TARGET"
"$TARGET/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$LOCK"
cp "$LOCK" "$TARGET/installed.txt"
