#!/usr/bin/env bash
# Fetches axe-core (MPL-2.0), which looks for barriers in pages, into .cache/axe for the tests; does nothing if it is
# there. Never part of the service.
set -euo pipefail
cd "$(dirname "$0")/../.."
VERSION=4.14.1
SHA512=FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==
TARGET=.cache/axe

[ "$(cat "$TARGET/installed.txt" 2>/dev/null)" = "$SHA512" ] && exit 0
echo "fetching axe-core for the tests"
bash requirements/npm-package.sh axe-core "$VERSION" "$SHA512" "$TARGET"
echo "$SHA512" >"$TARGET/installed.txt"
